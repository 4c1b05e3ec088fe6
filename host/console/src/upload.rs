//! Files that people send: who may, and what a browser makes of one.
//!
//! Source: RFC 7578, as browsers write it.

use bytes::Bytes;
use http::Method;
use memchr::memmem;
use tokio::sync::OwnedSemaphorePermit;

use crate::api;
use crate::authorize::Action;
use crate::console::Asked;
use crate::desk::Desk;
use crate::pages;
use crate::problem::Problem;

const FIELDS_MAX: usize = 8;

/// Whether a file may be on its way with this request; if so, the place that it takes.
pub(crate) async fn admit(desk: &Desk, asked: &Asked) -> Result<Option<OwnedSemaphorePermit>, Problem> {
    let (action, object) = match (&asked.method, asked.segments().as_slice()) {
        (&Method::POST, ["vetting"] | ["api", "v1", "submissions"]) => (Action::SubmitBundle, "submissions"),
        (&Method::POST, ["procedures", _, "attachments"] | ["api", "v1", "procedures", _, "attachments"]) => {
            (Action::Attach, "procedures")
        }
        (&Method::POST, ["procedures", _, "signed-copy"])
        | (&Method::PUT, ["api", "v1", "procedures", _, "signed-copy"]) => {
            (Action::AttachSignedCopy, "procedures")
        }
        _ => return Ok(None),
    };
    let person = match asked.path.starts_with(api::PREFIX) {
        true => api::bearer(desk, asked).await?,
        false => pages::visitor(desk, asked).await?.ok_or(Problem::NotSignedIn)?.0,
    };
    desk.check(&person, action, object).await?;
    desk.uploads.clone().try_acquire_owned().map(Some).map_err(|_| Problem::Busy)
}

/// The fields of a form with a file, each with its name.
pub(crate) fn fields(content_type: &str, body: &Bytes) -> Option<Vec<(String, Bytes)>> {
    let (_, boundary) = content_type.split_once("boundary=")?;
    let delimiter = format!("\r\n--{}", boundary.trim_matches('"'));
    let mut fields = Vec::new();
    // The first delimiter has no line before it.
    let mut start = delimiter.len().checked_sub(2)?;
    body.starts_with(delimiter.as_bytes().get(2..)?).then_some(())?;
    while body.get(start..)?.starts_with(b"\r\n") && fields.len() < FIELDS_MAX {
        let rest = body.slice(start + 2..);
        let end = memmem::find(&rest, delimiter.as_bytes())?;
        let part = rest.slice(..end);
        let blank = memmem::find(&part, b"\r\n\r\n")?;
        let headers = std::str::from_utf8(part.get(..blank)?).ok()?;
        let (_, name) = headers.split_once("; name=\"")?;
        fields.push((name.split('"').next()?.to_owned(), part.slice(blank + 4..)));
        start += 2 + end + delimiter.len();
    }
    body.get(start..)?.starts_with(b"--").then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=----x";

    fn check(body: &str, expected: Option<&[(&str, &str)]>) {
        let found = fields(TYPE, &Bytes::copy_from_slice(body.as_bytes()));
        let owned = |fields: &[(&str, &str)]| {
            let one =
                |(name, value): &(&str, &str)| (name.to_string(), Bytes::copy_from_slice(value.as_bytes()));
            fields.iter().map(one).collect::<Vec<_>>()
        };
        assert_eq!(found, expected.map(owned), "{body:?}");
    }

    #[test]
    fn reads_what_a_browser_sends() {
        let token = "------x\r\nContent-Disposition: form-data; name=\"form_token\"\r\n\r\nsha256:00\r\n";
        let file = "------x\r\nContent-Disposition: form-data; name=\"bundle\"; filename=\"a.asice\"\r\n\
                    Content-Type: application/octet-stream\r\n\r\nPK\r\n--\r\n\r\n------x--\r\n";
        check(&format!("{token}{file}"), Some(&[("form_token", "sha256:00"), ("bundle", "PK\r\n--\r\n")]));
    }

    #[test]
    fn refuses_a_form_that_ends_early_or_has_no_names() {
        let begun = "------x\r\nContent-Disposition: form-data; name=\"bundle\"\r\n\r\nPK";
        for body in ["", "------x", begun, "------x\r\n\r\nPK\r\n------x--\r\n"] {
            check(body, None);
        }
        check(&format!("{begun}\r\n------x"), None);
    }
}
