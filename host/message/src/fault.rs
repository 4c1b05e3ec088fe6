use bytes::Bytes;

use crate::FaultCode;
use crate::soap::{Soap, SoapError};
use crate::xml::{Malformed, XmlReader, escape};

/// A SOAP 1.1 fault: how security servers tell each other, and clients, what failed, for REST too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoapFault {
    /// `faultcode` as it stands. What a security server says is read by [`FaultCode::parse`]; a provider says anything.
    pub code: String,
    /// `faultstring`, for people.
    pub string: String,
    /// `faultactor`.
    pub actor: Option<String>,
    /// `detail/faultDetail`, or the text of `detail`. Security servers put a number for their logs there.
    pub detail: Option<String>,
    /// The envelope as it was read. A provider's fault is handed on like this; empty if the fault was made here.
    pub xml: Bytes,
}

impl SoapFault {
    /// The fault of a security server. `code` is spelled in the dialect of who will read it, `id` finds it in the logs.
    pub fn new(code: impl Into<String>, string: impl Into<String>, id: impl Into<String>) -> Self {
        let (code, string) = (code.into(), string.into());
        Self { code, string, actor: Some(String::new()), detail: Some(id.into()), xml: Bytes::new() }
    }

    /// Reads an envelope that holds a fault.
    ///
    /// # Errors
    /// If it cannot be read; `Ok(None)` if it can, but holds something else.
    pub fn read(content_type: &str, bytes: impl Into<Bytes>) -> Result<Option<Self>, SoapError> {
        match Soap::read(content_type, bytes)? {
            Soap::Fault(fault) => Ok(Some(fault)),
            Soap::Message(_) => Ok(None),
        }
    }

    /// The code, if a security server said it.
    pub fn fault_code(&self) -> FaultCode {
        FaultCode::parse(&self.code)
    }

    /// The envelope: as it was read, or as X-Road writes one. Its media type is `text/xml; charset=UTF-8`.
    pub fn to_xml(&self) -> Bytes {
        if !self.xml.is_empty() {
            return self.xml.clone();
        }
        let actor = self.actor.as_deref().map(|actor| format!("<faultactor>{}</faultactor>", escape(actor)));
        let detail = self.detail.as_deref().map(|detail| {
            format!("<detail><faultDetail xmlns=\"\">{}</faultDetail></detail>", escape(detail))
        });
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
             <SOAP-ENV:Envelope xmlns:SOAP-ENV=\"http://schemas.xmlsoap.org/soap/envelope/\"><SOAP-ENV:Body>\
             <SOAP-ENV:Fault><faultcode>{}</faultcode><faultstring>{}</faultstring>{}{}</SOAP-ENV:Fault>\
             </SOAP-ENV:Body></SOAP-ENV:Envelope>",
            escape(&self.code),
            escape(&self.string),
            actor.unwrap_or_default(),
            detail.unwrap_or_default(),
        )
        .into()
    }

    /// Reads the element `Fault`, which was entered. Providers write all sorts of faults, so that little is asked of it.
    pub(crate) fn read_element(xml: &mut XmlReader<'_>) -> Result<Self, Malformed> {
        let mut fault =
            Self { code: String::new(), string: String::new(), actor: None, detail: None, xml: Bytes::new() };
        while let Some(child) = xml.child()? {
            match &*child.name.local_name {
                "faultcode" => fault.code = xml.text()?.own,
                "faultstring" => fault.string = xml.text()?.own,
                "faultactor" => fault.actor = Some(xml.text()?.own),
                "detail" => fault.detail = read_detail(xml)?,
                _ => drop(xml.skip()?),
            }
        }
        Ok(fault)
    }
}

fn read_detail(xml: &mut XmlReader<'_>) -> Result<Option<String>, Malformed> {
    let mut detail = None;
    let mut text = String::new();
    loop {
        let child = xml.child()?;
        text.push_str(xml.text_before.trim_ascii());
        match child {
            Some(child) if child.name.local_name == "faultDetail" => detail = Some(xml.text()?.own),
            Some(_) => drop(xml.skip()?),
            None => return Ok(detail.or(Some(text).filter(|text| !text.is_empty()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_the_reference_writes() {
        let fault = SoapFault::new(
            "Server.ServerProxy.ServiceFailed.SslAuthenticationFailed",
            "Client 'SUBSYSTEM:DEV/COM/1234/Nope' is not registered",
            "fe6df8b2-9387-4d3c-b35d-497b5542b445",
        );
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><SOAP-ENV:Envelope xmlns:SOAP-ENV=\"http://schemas.\
            xmlsoap.org/soap/envelope/\"><SOAP-ENV:Body><SOAP-ENV:Fault><faultcode>Server.ServerProxy.ServiceFailed.\
            SslAuthenticationFailed</faultcode><faultstring>Client &apos;SUBSYSTEM:DEV/COM/1234/Nope&apos; is not \
            registered</faultstring><faultactor></faultactor><detail><faultDetail xmlns=\"\">fe6df8b2-9387-4d3c-b35d-\
            497b5542b445</faultDetail></detail></SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>";
        assert_eq!(fault.to_xml(), expected);
    }

    #[test]
    fn what_was_written_is_read_again() {
        let fault = SoapFault::new("server.serverproxy", "<\u{1}\"&'é\u{1F600}>", "7");
        let read = SoapFault::read("text/xml", fault.to_xml()).unwrap().unwrap();
        let expected = SoapFault { string: "<\"&'é\u{1F600}>".into(), xml: fault.to_xml(), ..fault };
        assert_eq!(read, expected);
    }

    #[test]
    fn hands_on_a_providers_fault_byte_for_byte() {
        let xml = "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body><e:Fault>\
            <faultcode>e:Server</faultcode><detail>why <x/></detail></e:Fault></e:Body></e:Envelope>";
        let fault = SoapFault::read("text/xml", xml).unwrap().unwrap();
        assert_eq!((fault.code.as_str(), fault.detail.as_deref()), ("e:Server", Some("why")));
        assert_eq!(fault.to_xml(), xml);
    }
}
