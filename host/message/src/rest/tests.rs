use super::*;

const REQUEST: &str = "POST\r\n/r1/KG/GOV/7/registry/person/a%2Fb?x=%20[1]\r\nX-Road-Client:KG/GOV/8/clinic\r\n\
    X-Road-Id:7\r\nx-road-request-id:r\r\n";
const HASH: &str = "z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==";

fn request() -> RestRequest {
    RestRequest::read(REQUEST).unwrap()
}

fn response() -> String {
    format!(
        "200\r\n\r\nA:b\r\nx-road-id:7\r\nx-road-client:KG/GOV/8/clinic\r\n\
         x-road-service:KG/GOV/7/registry/person\r\nx-road-request-id:r\r\nx-road-request-hash:{HASH}\r\n"
    )
}

/// Checks that a request that differs in one way from a valid one is refused.
#[track_caller]
fn refuses(from: &str, to: &str, code: &str, xroad_code: &str) {
    assert!(REQUEST.contains(from));
    let error = RestRequest::read(REQUEST.replace(from, to)).unwrap_err();
    assert_eq!((error.code(), error.xroad_code()), (code, xroad_code), "{error}");
}

#[track_caller]
fn refuses_response(from: &str, to: &str, code: &str) {
    assert!(response().contains(from));
    assert_eq!(RestResponse::read(response().replace(from, to)).unwrap_err().code(), code);
}

#[test]
fn reads_what_a_request_says() {
    let request = request();
    let head = request.head();
    assert_eq!((head.service_path.as_str(), head.query.as_deref()), ("/a%2Fb", Some("x=%20[1]")));
    assert_eq!(head.service.to_string(), "KG/GOV/7/registry/person");
    assert_eq!(head.request_id.as_deref(), Some("r"));
    assert_eq!(request.bytes(), REQUEST);
}

#[test]
fn a_service_may_be_called_without_a_path() {
    for (path, service_path) in [("person", ""), ("person/", "/"), ("person//", "//")] {
        let request = RestRequest::read(REQUEST.replace("person/a%2Fb", path)).unwrap();
        assert_eq!(request.head().service_path, service_path, "{path}");
    }
}

#[test]
fn leaves_out_what_belongs_to_a_connection() {
    let mut headers =
        vec![Header::new("X-Road-Client", "KG/GOV/8"), Header::new("X-Road-Request-Id", "forged")];
    headers.extend(CONNECTION_HEADERS.map(|name| Header::new(name.to_uppercase(), "x")));
    headers.push(Header::new("Accept", "é"));
    let request = RestRequest::compose(RestMethod::Get, "/r1/KG/GOV/7/registry/person", &headers, "r", "i");
    let expected = "GET\r\n/r1/KG/GOV/7/registry/person\r\nX-Road-Client:KG/GOV/8\r\nAccept:é\r\n\
        x-road-request-id:r\r\nx-road-id:i\r\n";
    assert_eq!(request.unwrap().bytes(), expected);
}

#[test]
fn says_itself_what_the_provider_may_not_say() {
    let forged =
        [ID, CLIENT, SERVICE, REQUEST_ID, REQUEST_HASH, "Server"].map(|name| Header::new(name, "forged"));
    let headers = [&forged[..], &[Header::new("A", "b")]].concat();
    let hash = RequestHash(sha512(b""));
    let composed = RestResponse::compose(&request(), hash, 200, "", &headers).unwrap();
    assert_eq!(composed.bytes(), response().as_str());
}

#[test]
fn refuses_other_line_ends() {
    for (from, to) in
        [("POST\r\n", "POST\n"), ("POST\r\n", "POST\r"), ("r\r\n", "r"), ("X-Road-Id:7", "A:\0")]
    {
        refuses(from, to, "rest.line", "internal_error");
    }
    assert_eq!(RestRequest::read("").unwrap_err().code(), "rest.line");
}

#[test]
fn refuses_bytes_that_are_not_utf8() {
    assert_eq!(RestRequest::read(b"POST\r\n/r1\xFF\r\n".as_slice()).unwrap_err().code(), "rest.line");
}

#[test]
fn refuses_methods_that_are_not_carried() {
    for method in ["CONNECT", "post", ""] {
        refuses("POST", method, "rest.method", "internal_error");
    }
}

#[test]
fn refuses_other_targets() {
    for target in
        ["http://host/r1/", "//host/r1/", "/r2/", "/", "r1/", "*", "/r1/ ", "/r1/é/", "/r1/%zz/", "/r1/[/"]
    {
        refuses("/r1/", target, "rest.target", "internal_error");
    }
    refuses("x=%20[1]", "x=%2", "rest.target", "internal_error");
    refuses("x=%20[1]", "#x", "rest.target", "internal_error");
}

#[test]
fn refuses_a_path_that_names_no_service() {
    for service in ["registry?", "registry//", "reg%2Fistry/person/", "reg:istry/person/", "registry/%2570/"]
    {
        refuses("registry/person/", service, "rest.service", "internal_error");
    }
}

#[test]
fn refuses_a_client_that_is_missing_or_no_client() {
    for client in ["X-Road-Client:KG/GOV", "X-Road-Client: KG/GOV/8", "X-Road-Client:KG/GOV/é", "A:b"] {
        refuses("X-Road-Client:KG/GOV/8/clinic", client, "rest.client", "invalid_client_identifier");
    }
}

#[test]
fn refuses_what_stands_twice() {
    for name in ["X-ROAD-CLIENT", "x-road-id", "X-Road-Request-Id"] {
        let repeated = format!("{name}:KG/GOV/9\r\nX-Road-Id:7");
        refuses("X-Road-Id:7", &repeated, "rest.repeated_header", "internal_error");
    }
}

#[test]
fn refuses_headers_of_a_connection() {
    for name in CONNECTION_HEADERS {
        let header = format!("{}:x\r\nX-Road-Id:7", name.to_uppercase());
        refuses("X-Road-Id:7", &header, "rest.connection_header", "internal_error");
    }
}

#[test]
fn refuses_malformed_headers() {
    for header in ["no colon", ":x", "a b:c", "a\tb:c", ""] {
        refuses("X-Road-Id:7", header, "rest.header", "internal_error");
    }
    let split = Header::new("A", "b\r\nX-Road-Client:KG/GOV/9");
    let error = RestRequest::compose(RestMethod::Get, "/r1/", &[split], "r", "i").unwrap_err();
    assert_eq!(error.code(), "rest.header");
}

#[test]
fn refuses_a_message_without_identifier() {
    for header in ["A:b", "X-Road-Id:"] {
        refuses("X-Road-Id:7", header, "rest.missing_header", "internal_error");
    }
}

#[test]
fn refuses_headers_that_hold_no_identifier() {
    for header in ["X-Road-Security-Server:KG/GOV/7", "X-Road-Represented-Party:a/b/c"] {
        refuses("X-Road-Id:7", &format!("{header}\r\nX-Road-Id:7"), "rest.identifier", "internal_error");
    }
}

#[test]
fn refuses_responses_that_do_not_say_what_they_answer() {
    refuses_response(HASH, "AAAA", "rest.request_hash");
    refuses_response(HASH, "", "rest.missing_header");
    refuses_response("x-road-id:7", "A:b", "rest.missing_header");
    refuses_response("KG/GOV/7/registry/person", "KG/GOV/7", "rest.identifier");
}

#[test]
fn refuses_a_status_that_is_none() {
    for status in ["+20", "20", "2000", "099", "OK", ""] {
        refuses_response("200\r\n", &format!("{status}\r\n"), "rest.status");
    }
}

#[test]
fn names_the_field_in_which_a_response_differs() {
    let request = request();
    let hash = request.hash(None).to_string();
    let response = response().replace(HASH, &hash);
    let check = |from: &str, to: &str| {
        let response = RestResponse::read(response.replace(from, to)).unwrap();
        response.check(&request, None).map_err(|error| error.to_string())
    };
    assert_eq!(check("", ""), Ok(()));
    for (from, to, field) in [
        ("GOV/8/clinic", "GOV/8", "x-road-client"),
        ("x-road-id:7", "x-road-id:8", "x-road-id"),
        ("person", "Person", "x-road-service"),
        ("x-road-service", "x-service", "x-road-service"),
        ("x-road-request-id:r", "x-road-request-id:s", "x-road-request-id"),
    ] {
        let expected = format!("`{field}` of the response is not that of the request");
        assert_eq!(check(from, to), Err(expected));
    }
    let other = check(&hash, HASH);
    assert_eq!(other, Err("the response has the hash of another request".into()));
}
