/// How much of a message is read. X-Road has no such limits; every one here is far above what its servers send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Headers of one part of a multipart message, all together.
    pub part_header_bytes_max: usize,
    /// The REST header part, or the SOAP envelope: what is held in memory whole.
    pub message_bytes_max: usize,
    /// One OCSP response.
    pub ocsp_bytes_max: usize,
    /// OCSP responses in one request: one per certificate that the peer sent in the TLS handshake.
    pub ocsp_responses_max: usize,
    /// A signature, a hash chain, its result: each.
    pub signature_bytes_max: usize,
    /// A fault.
    pub fault_bytes_max: usize,
    /// Body or attachments, all together. They are streamed and never held.
    pub body_bytes_max: u64,
    /// Attachments of a SOAP message.
    pub attachments_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            part_header_bytes_max: 16 << 10,
            message_bytes_max: 16 << 20,
            ocsp_bytes_max: 64 << 10,
            ocsp_responses_max: 16,
            signature_bytes_max: 2 << 20,
            fault_bytes_max: 1 << 20,
            body_bytes_max: 4 << 30,
            attachments_max: 1000,
        }
    }
}
