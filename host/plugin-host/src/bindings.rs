//! The host's side of `wit/adapter-0.1`, generated. Only `api_0_1/` sees these types.

wasmtime::component::bindgen!({
    path: "../../wit/adapter-0.1",
    world: "adapter",
    imports: {
        "uuk:adapter/sql.run": async | trappable,
        "uuk:adapter/sql.open": async | trappable,
        "uuk:adapter/sql.[method]cursor.next": async | trappable,
        "uuk:adapter/sql.[static]transaction.begin": async | trappable,
        "uuk:adapter/sql.[method]transaction.run": async | trappable,
        "uuk:adapter/sql.[static]transaction.commit": async | trappable,
        "uuk:adapter/http.send": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    with: {
        "uuk:adapter/blobs.blob": crate::capabilities::blobs::Blob,
        "uuk:adapter/blobs.blob-writer": crate::capabilities::blobs::BlobWriter,
        "uuk:adapter/sql.cursor": crate::capabilities::sql::Cursor,
        "uuk:adapter/sql.transaction": crate::capabilities::sql::Transaction,
    },
    ownership: Borrowing { duplicate_if_necessary: true },
    require_store_data_send: true,
});
