//! What anyone may know about a vehicle, from the registry's own API.

mod generated;

use generated::{check, upstreams};
use serde::Deserialize;
use uuk_adapter::{Fault, OrNotFound, http, operation};

uuk_adapter::adapter!(check);

#[operation]
fn check(request: check::Request) -> Result<check::Response, Fault> {
    let vehicle: Vehicle = http::Request::get(&["v1", "vehicles", &request.plate])
        .send(upstreams::REGISTRY_API)?
        .found_json()?
        .or_not_found(check::FaultCode::VehicleNotFound, "no vehicle bears this plate")?;
    Ok(check::Response {
        plate: vehicle.plate,
        make: vehicle.make,
        model: vehicle.model,
        year: vehicle.year,
        colour: vehicle.colour,
    })
}

/// A vehicle as the registry's API knows it, as far as anyone may: the owner is left out.
#[derive(Deserialize)]
struct Vehicle {
    plate: String,
    make: String,
    model: String,
    year: i64,
    colour: Option<String>,
}
