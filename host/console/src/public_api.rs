//! The part of the API that is for everybody: the public catalog.

use http::StatusCode;
use serde::Serialize;
use serde_json::json;
use uuk_central::{OutlinedOperation, PublicMember, PublicService, PublicSystem};

use crate::api::Operation;
use crate::console::Asked;
use crate::desk::Desk;
use crate::openapi;
use crate::pages::question;
use crate::problem::Problem;
use crate::reply::Reply;

#[derive(Serialize)]
struct Member {
    #[serde(flatten)]
    member: PublicMember,
    systems: Vec<PublicSystem>,
}

#[derive(Serialize)]
struct Service {
    #[serde(flatten)]
    service: PublicService,
    operations: Vec<OutlinedOperation>,
}

/// The answer to an operation that is for everybody; `None` if it is not. `id` is what the path names.
pub(crate) async fn answer(
    desk: &Desk,
    asked: &Asked,
    operation: Operation,
    id: &str,
) -> Result<Option<Reply>, Problem> {
    let central = &desk.central;
    let answer = match operation {
        Operation::DescribeApi => openapi::description(),
        Operation::SearchCatalog => {
            json!({ "services": central.search_catalog(&question(&asked.query)).await? })
        }
        Operation::ListCatalogMembers => json!({ "members": central.public_members().await? }),
        Operation::ShowCatalogMember => {
            let member = id.parse().map_err(|_| Problem::NoSuchPage)?;
            let (member, systems) = central.public_member(&member).await?.ok_or(Problem::NoSuchPage)?;
            json!(Member { member, systems })
        }
        Operation::ShowCatalogService => {
            let service = id.parse().map_err(|_| Problem::NoSuchPage)?;
            let (service, outline) = central.public_service(&service).await?.ok_or(Problem::NoSuchPage)?;
            json!(Service { service, operations: outline.operations })
        }
        Operation::DownloadContract => return Ok(Some(contract(desk, asked, id).await?)),
        _ => return Ok(None),
    };
    Ok(Some(Reply::json(StatusCode::OK, &answer).keepable(asked)))
}

/// A contract to keep as a file, named after its service.
async fn contract(desk: &Desk, asked: &Asked, id: &str) -> Result<Reply, Problem> {
    let service = id.parse().map_err(|_| Problem::NoSuchPage)?;
    let (media_type, text) = desk.central.public_contract(&service).await?.ok_or(Problem::NoSuchPage)?;
    let (media_type, ending) = match media_type.as_str() {
        "application/json" => ("application/json", "json"),
        "text/xml" => ("text/xml", "wsdl"),
        _ => ("text/yaml", "yaml"),
    };
    let name: String =
        service.code.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '-' }).collect();
    let attached = format!("attachment; filename=\"{name}.{ending}\"");
    Ok(Reply::new(StatusCode::OK, media_type, text).header("content-disposition", &attached).keepable(asked))
}
