//! The bindings of the world `adapter`, generated from `wit/`, which is the repository's own `wit/adapter-0.1`.

#![allow(unsafe_code, missing_docs, reason = "generated: lowering to and lifting from linear memory")]
#![allow(clippy::all, clippy::indexing_slicing, clippy::semicolon_if_nothing_returned, reason = "generated")]
#![allow(unreachable_pub, reason = "generated")]

wit_bindgen::generate!({
    path: "wit",
    world: "adapter",
    pub_export_macro: true,
    default_bindings_module: "uuk_adapter::bindings",
});
