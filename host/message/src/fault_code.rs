use std::fmt;

/// How the words of fault codes are spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `server.serverproxy.service_failed`: X-Road 7.8 and later.
    SnakeCase,
    /// `Server.ServerProxy.ServiceFailed`: X-Road up to 7.7.
    CamelCase,
}

/// The code of a fault: words joined by dots, from who failed to what failed.
///
/// It is held in the spelling of X-Road 7.8; words that X-Road does not know are kept as they were.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FaultCode(String);

impl FaultCode {
    /// The client's own message is at fault.
    pub const CLIENT: &'static str = "client";
    /// The client's security server is at fault, or says so.
    pub const CLIENT_PROXY: &'static str = "server.clientproxy";
    /// The provider's security server is at fault, or says so.
    pub const SERVER_PROXY: &'static str = "server.serverproxy";

    /// Reads a code in either dialect.
    pub fn parse(code: &str) -> Self {
        let words: Vec<_> = code.split('.').map(|word| translate(word, Dialect::SnakeCase)).collect();
        Self(words.join("."))
    }

    /// This code with `prefix` before it, unless it begins with that. `prefix` is one or more words.
    #[must_use]
    pub fn with_prefix(self, prefix: &str) -> Self {
        let rest = self.0.strip_prefix(prefix);
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) {
            return self;
        }
        Self(format!("{prefix}.{}", self.0))
    }

    /// Whether a server failed, and not the client: then clients see status 500 and not 400.
    pub fn is_of_a_server(&self) -> bool {
        self.0.split('.').next() == Some("server")
    }

    /// In the spelling of X-Road 7.8.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As `dialect` spells it.
    pub fn spelled(&self, dialect: Dialect) -> String {
        let words: Vec<_> = self.0.split('.').map(|word| translate(word, dialect)).collect();
        words.join(".")
    }
}

impl fmt::Display for FaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn translate(word: &str, dialect: Dialect) -> &str {
    match (WORDS.iter().find(|(new, old)| word == *new || word == *old), dialect) {
        (Some((new, _)), Dialect::SnakeCase) => new,
        (Some((_, old)), Dialect::CamelCase) => old,
        (None, _) => word,
    }
}

/// Every word of X-Road's codes, as 7.8 and as 7.7 spell it. Of two that 7.7 spelled alike, the first one is read.
///
/// Source: `ErrorCodes.java` of X-Road 7.8.0 and 7.7.1.
const WORDS: &[(&str, &str)] = &[
    ("server", "Server"),
    ("clientproxy", "ClientProxy"),
    ("serverproxy", "ServerProxy"),
    ("opmonitor", "OpMonitor"),
    ("client", "Client"),
    ("signer", "Signer"),
    ("io_error", "IOError"),
    ("network_error", "NetworkError"),
    ("internal_error", "InternalError"),
    ("bad_request", "BadRequest"),
    ("not_found", "NotFound"),
    ("http_error", "HttpError"),
    ("unknown_host", "NetworkError"),
    ("database_error", "DatabaseError"),
    ("invalid_request", "InvalidRequest"),
    ("cannot_create_signature", "CannotCreateSignature"),
    ("cert_validation", "CertValidation"),
    ("incorrect_validation_info", "IncorrectValidationInfo"),
    ("cannot_create_cert_path", "CannotCreateCertPath"),
    ("incorrect_certificate", "IncorrectCertificate"),
    ("invalid_signature_value", "InvalidSignatureValue"),
    ("malformed_signature", "MalformedSignature"),
    ("invalid_xml", "InvalidXml"),
    ("invalid_reference", "InvalidReference"),
    ("invalid_cert_path", "InvalidCertPath"),
    ("signature_verification", "SignatureVerification"),
    ("invalid_hash_chain", "InvalidHashChain"),
    ("malformed_hash_chain", "MalformedHashChain"),
    ("hashchain_unused_inputs", "HashChainUnusedInputs"),
    ("invalid_hash_chain_ref", "InvalidHashChainRef"),
    ("ssl_authentication_failed", "SslAuthenticationFailed"),
    ("logging_failed", "LoggingFailed"),
    ("timestamping_failed", "TimestampingFailed"),
    ("invalid_content_type", "InvalidContentType"),
    ("invalid_soap_action", "InvalidSoapAction"),
    ("invalid_http_method", "InvalidHttpMethod"),
    ("invalid_message", "InvalidMessage"),
    ("invalid_security_server", "InvalidSecurityServer"),
    ("mime_parsing_failed", "MimeParsingFailed"),
    ("missing_header", "MissingHeader"),
    ("missing_header_field", "MissingHeaderField"),
    ("duplicate_header_field", "DuplicateHeaderField"),
    ("missing_body", "MissingBody"),
    ("invalid_body", "InvalidBody"),
    ("inconsistent_headers", "InconsistentHeaders"),
    ("inconsistent_response", "InconsistentResponse"),
    ("missing_soap", "MissingSoap"),
    ("invalid_soap", "InvalidSoap"),
    ("missing_rest", "MissingRest"),
    ("access_denied", "AccessDenied"),
    ("service_disabled", "ServiceDisabled"),
    ("service_failed", "ServiceFailed"),
    ("missing_signature", "MissingSignature"),
    ("unknown_service", "UnknownService"),
    ("invalid_protocol_version", "InvalidProtocolVersion"),
    ("invalid_client_identifier", "InvalidClientIdentifier"),
    ("service_type", "ServiceType"),
    ("client_proxy_version_not_supported", "ClientProxyVersionNotSupported"),
    ("asic_mime_type_not_found", "AsicMimeTypeNotFound"),
    ("asic_signature_not_found", "AsicSignatureNotFound"),
    ("asic_message_not_found", "AsicMessageNotFound"),
    ("asic_invalid_mime_type", "AsicInvalidMimeType"),
    ("asic_hash_chain_result_not_found", "AsicHashChainResultNotFound"),
    ("asic_hash_chain_not_found", "AsicHashChainNotFound"),
    ("asic_timestamp_not_found", "AsicTimestampNotFound"),
    ("asic_manifest_not_found", "AsicManifestNotFound"),
    ("unknown_member", "UnknownMember"),
    ("malformed_server_conf", "MalformedServerConf"),
    ("malformed_global_conf", "MalformedGlobalConf"),
    ("malformed_optional_parts_conf", "MalformedOptionalPartsConf"),
    ("global_conf_outdated", "OutdatedGlobalConf"),
    ("service_missing_url", "ServiceMissingUrl"),
    ("service_malformed_url", "ServiceMalformedUrl"),
    ("hsm_non_operational", "HSMNonOperational"),
    ("maintenance_mode", "MaintenanceMode"),
    ("malformed_anchor", "MalformedAnchor"),
    ("anchor_file_not_found", "AnchorFileNotFound"),
    ("key_not_found", "KeyNotFound"),
    ("cert_not_found", "CertNotFound"),
    ("csr_not_found", "CsrNotFound"),
    ("token_not_found", "TokenNotFound"),
    ("token_not_active", "TokenNotActive"),
    ("token_not_initialized", "TokenNotInitialized"),
    ("token_not_available", "TokenNotAvailable"),
    ("token_readonly", "TokenReadOnly"),
    ("cannot_sign", "CannotSign"),
    ("unsupported_sign_algorithm", "UnsupportedSignAlgorithm"),
    ("failed_to_generate_private_key", "FailedToGeneratePrivateKey"),
    ("cert_exists", "CertExists"),
    ("wrong_cert_usage", "WrongCertUsage"),
    ("login_failed", "LoginFailed"),
    ("logout_failed", "LogoutFailed"),
    ("pin_incorrect", "PinIncorrect"),
    ("cert_import_failed", "CertImportFailed"),
    ("token_pin_policy_failure", "TokenPinPolicyFailure"),
    ("timestamper_failed", "TimestamperFailed"),
    ("invalid_rest", "InvalidRest"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_dialects_alike() {
        let old = FaultCode::parse("Server.ServerProxy.ServiceFailed.IOError");
        let new = FaultCode::parse("server.serverproxy.service_failed.io_error");
        assert_eq!(old, new);
        assert_eq!(old.spelled(Dialect::CamelCase), "Server.ServerProxy.ServiceFailed.IOError");
        assert_eq!(old.as_str(), "server.serverproxy.service_failed.io_error");
    }

    #[test]
    fn every_word_is_read_again_in_the_other_dialect() {
        for (new, old) in WORDS {
            assert_eq!(FaultCode::parse(new).spelled(Dialect::CamelCase), *old);
            if *new != "unknown_host" {
                assert_eq!(FaultCode::parse(old).as_str(), *new);
            }
        }
    }

    #[test]
    fn leaves_the_codes_of_providers_alone() {
        assert_eq!(FaultCode::parse("soap:Server").spelled(Dialect::CamelCase), "soap:Server");
    }

    #[test]
    fn adds_a_prefix_once() {
        let code = FaultCode::parse("access_denied").with_prefix(FaultCode::SERVER_PROXY);
        assert_eq!(code.as_str(), "server.serverproxy.access_denied");
        assert_eq!(code.clone().with_prefix(FaultCode::SERVER_PROXY), code);
        assert_eq!(FaultCode::parse("clients").with_prefix("client").as_str(), "client.clients");
    }

    #[test]
    fn tells_a_servers_fault_in_either_dialect() {
        for (code, of_a_server) in [
            ("Server.ClientProxy.NetworkError", true),
            ("server.clientproxy.network_error", true),
            ("client.invalid_soap", false),
            ("serverless", false),
        ] {
            assert_eq!(FaultCode::parse(code).is_of_a_server(), of_a_server, "{code}");
        }
    }
}
