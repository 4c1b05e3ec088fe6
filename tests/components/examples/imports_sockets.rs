//! Imports sockets, which no adapter gets.

use uuk_adapter::probe::{Depth, Finding};

uuk_test_components::component!(probe = connect);

fn connect(_depth: Depth) -> Vec<Finding> {
    let result = std::net::TcpStream::connect("127.0.0.1:5432");
    vec![Finding { check: "connect".to_owned(), ok: result.is_ok(), detail: format!("{result:?}") }]
}
