use wasmtime::component::Resource;

use crate::bindings::uuk::adapter::blobs;
use crate::capabilities::blobs::{Blob, BlobError, BlobWriter};
use crate::instance::CallState;

impl blobs::Host for CallState {}

impl blobs::HostBlob for CallState {
    fn name(&mut self, blob: Resource<Blob>) -> wasmtime::Result<Option<String>> {
        Ok(self.table.get(&blob)?.name.clone())
    }

    fn media_type(&mut self, blob: Resource<Blob>) -> wasmtime::Result<String> {
        Ok(self.table.get(&blob)?.media_type.clone())
    }

    fn size(&mut self, blob: Resource<Blob>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&blob)?.data.len() as u64)
    }

    fn sha256(&mut self, blob: Resource<Blob>) -> wasmtime::Result<Vec<u8>> {
        Ok(self.table.get(&blob)?.sha256.as_ref().to_vec())
    }

    fn read(
        &mut self,
        blob: Resource<Blob>,
        offset: u64,
        max: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, blobs::BlobError>> {
        Ok(self.table.get(&blob)?.read(offset, max).map(<[u8]>::to_vec).map_err(error))
    }

    fn drop(&mut self, blob: Resource<Blob>) -> wasmtime::Result<()> {
        self.table.delete(blob)?;
        Ok(())
    }
}

impl blobs::HostBlobWriter for CallState {
    fn new(&mut self, media_type: String, name: Option<String>) -> wasmtime::Result<Resource<BlobWriter>> {
        // The contract gives a constructor no way to refuse, so this ends the call.
        let writer = BlobWriter::new(media_type, name, self.limits.response_bytes_max, &self.host_calls)?;
        Ok(self.table.push(writer)?)
    }

    fn append(
        &mut self,
        writer: Resource<BlobWriter>,
        chunk: Vec<u8>,
    ) -> wasmtime::Result<Result<(), blobs::BlobError>> {
        Ok(self.table.get_mut(&writer)?.append(&chunk, &self.host_calls).map_err(error))
    }

    fn finish(
        &mut self,
        writer: Resource<BlobWriter>,
    ) -> wasmtime::Result<Result<Resource<Blob>, blobs::BlobError>> {
        let blob = self.table.delete(writer)?.finish();
        Ok(Ok(self.table.push(blob)?))
    }

    fn drop(&mut self, writer: Resource<BlobWriter>) -> wasmtime::Result<()> {
        self.table.delete(writer)?;
        Ok(())
    }
}

fn error(error: BlobError) -> blobs::BlobError {
    match error {
        BlobError::OutOfRange => blobs::BlobError::OutOfRange,
        BlobError::QuotaExceeded => blobs::BlobError::QuotaExceeded,
    }
}
