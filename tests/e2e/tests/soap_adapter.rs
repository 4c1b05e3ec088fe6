//! SOAP to an adapter that knows nothing of it: the same operations, answers and faults as in JSON.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::Method;
use uuk_e2e::{Client, Guest, Network, Server};
use uuk_signer::KeyAlgorithm;
use uuk_testkit::fixtures;

const SETTINGS: &str = "[plugins]\ncanary_percent = 0\nrescan_every = \"200ms\"\n\n";
const KNOWN: &str = "10101194000000";
/// Each message has another number.
static MESSAGES: AtomicU64 = AtomicU64::new(0);
const NAMESPACE: &str = "urn:uuk:register-of-people";

struct Scene {
    client: Client,
    address: String,
    _servers: [Server; 2],
    _network: Network,
    _folders: [tempfile::TempDir; 2],
}

impl Scene {
    async fn set() -> Result<Self> {
        let network = Network::start().await?;
        let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
        let [provider_folder, consumer_folder] = [&folders[0], &folders[1]].map(tempfile::TempDir::path);
        let mut provider =
            network.enrol("GOV/70000001/ss1", "GOV/70000001/registry", provider_folder, SETTINGS)?;
        let consumer = network.enrol("GOV/70000002/ss2", "GOV/70000002/portal", consumer_folder, SETTINGS)?;
        provider.site.people().await?;
        provider.site.drop_bundle("people.asice", &provider.site.bundle(Guest::People, None)?)?;
        let algorithm = KeyAlgorithm::EcP256;
        let servers = [consumer.start(&network, algorithm)?, provider.start(&network, algorithm)?];
        let address = servers[0].address().to_owned();
        let client = Client::new(&address);
        let scene = Self { client, address, _servers: servers, _network: network, _folders: folders };
        let answers = || async { scene.get(KNOWN).await.is_ok_and(|answer| !answer.contains("Fault>")) };
        scene._servers[0].until("the exchange answers", Duration::from_secs(90), answers).await?;
        Ok(scene)
    }

    async fn ask(&self, service: &str, body: &str) -> Result<String> {
        self.send(envelope(service, body)).await
    }

    async fn send(&self, envelope: String) -> Result<String> {
        let headers = [("content-type", "text/xml; charset=utf-8"), ("soapaction", "\"\"")];
        let reply = self.client.call(Method::POST, "/", &headers, envelope.into()).await?;
        Ok(String::from_utf8_lossy(&reply.body).into_owned())
    }

    async fn get(&self, pin: &str) -> Result<String> {
        self.ask("get", &format!("<p:get xmlns:p=\"{NAMESPACE}\"><p:pin>{pin}</p:pin></p:get>")).await
    }

    /// The WSDL that `getWsdl` gives out.
    async fn wsdl(&self) -> Result<String> {
        let asked = "<x:getWsdl><x:serviceCode>get</x:serviceCode></x:getWsdl>";
        let answer = self.ask("getWsdl", asked).await?;
        let start = answer.find("<wsdl:definitions").with_context(|| answer.clone())?;
        let end = answer.find("</wsdl:definitions>").context("the WSDL ends")?;
        Ok(format!("{}</wsdl:definitions>", answer.get(start..end).context("the WSDL")?))
    }

    /// What a program prints that is told where the WSDL is, the server's address, and a number that is known.
    async fn said_by(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let folder = tempfile::tempdir()?;
        let wsdl = folder.path().join("people.wsdl");
        fs::write(&wsdl, self.wsdl().await?)?;
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).arg(&wsdl).args([&format!("http://{}/", self.address), KNOWN]);
        let ran = command.output().await?;
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        ensure!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
        Ok(said)
    }

    async fn in_json(&self, path: &str) -> Result<serde_json::Value> {
        self.client.get("person", path).await?.json()
    }
}

fn envelope(service: &str, body: &str) -> String {
    let names = |subsystem: &str, member: &str| {
        format!(
            "<i:xRoadInstance>KG</i:xRoadInstance><i:memberClass>GOV</i:memberClass>\
             <i:memberCode>{member}</i:memberCode><i:subsystemCode>{subsystem}</i:subsystemCode>"
        )
    };
    format!(
        "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:x=\"http://x-road.eu/xsd/xroad.xsd\" \
         xmlns:i=\"http://x-road.eu/xsd/identifiers\"><e:Header><x:client i:objectType=\"SUBSYSTEM\">{}</x:client>\
         <x:service i:objectType=\"SERVICE\">{}<i:serviceCode>{service}</i:serviceCode></x:service>\
         <x:id>{}</x:id><x:protocolVersion>4.0</x:protocolVersion></e:Header><e:Body>{body}</e:Body></e:Envelope>",
        names("portal", "70000002"),
        names("registry", "70000001"),
        MESSAGES.fetch_add(1, Ordering::Relaxed),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn soap_gets_the_answers_and_faults_that_json_gets() -> Result<()> {
    let scene = Scene::set().await?;
    let person = scene.in_json(&format!("/people/{KNOWN}")).await?;
    let answer = scene.get(KNOWN).await?;
    ensure!(answer.contains(&format!("<n0:getResponse xmlns:n0=\"{NAMESPACE}\"")), "{answer}");
    for (member, value) in person.as_object().context("a person")? {
        let element = format!("<n0:{member}>{}</n0:{member}>", value.as_str().unwrap_or_default());
        ensure!(answer.contains(&element), "{element} is not in {answer}");
    }

    let found = scene
        .ask("search", &format!("<p:search xmlns:p=\"{NAMESPACE}\"><p:surname>Ас</p:surname><p:page_size>1</p:page_size></p:search>"))
        .await?;
    ensure!(found.contains("<n0:people>") || found.contains("<n0:people/>"), "{found}");

    let nobody = scene.get("10101194999999").await?;
    ensure!(nobody.contains("<faultcode>soap:Client.PERSON_NOT_FOUND</faultcode>"), "{nobody}");
    ensure!(nobody.contains("<problem xmlns=\"urn:uuk:fault\"><status>404</status>"), "{nobody}");

    let malformed = scene.get("1").await?;
    ensure!(malformed.contains("<faultcode>soap:Client.contract.request_invalid</faultcode>"), "{malformed}");
    ensure!(malformed.contains("<pointer>/pin</pointer><code>pattern</code>"), "{malformed}");

    let unknown = scene.ask("getNobody", "<getNobody/>").await?;
    ensure!(unknown.contains("unknown_service</faultcode>"), "{unknown}");
    Ok(())
}

/// Calls as an agency in Python would: from the WSDL alone.
const ZEEP: &str = r#"
import sys
import zeep
wsdl, address, known = sys.argv[1:]
client = zeep.Client(wsdl)
service = client.create_service('{urn:uuk:register-of-people}binding', address)
def identifier(member, subsystem, more):
    return {'objectType': 'SERVICE' if more else 'SUBSYSTEM', 'xRoadInstance': 'KG', 'memberClass': 'GOV',
            'memberCode': member, 'subsystemCode': subsystem, **more}
def headers(code):
    return {'client': identifier('70000002', 'portal', {}),
            'service': identifier('70000001', 'registry', {'serviceCode': code, 'serviceVersion': 'v1'}),
            'userId': 'KG1', 'id': 'zeep-' + code, 'issue': '1', 'protocolVersion': '4.0'}
person = service.get(pin=known, _soapheaders=headers('get'))
person = getattr(person, 'body', person)
print(person.pin, person.birth_date.isoformat())
try:
    service.get(pin='10101194999999', _soapheaders={**headers('get'), 'id': 'zeep-nobody'})
except zeep.exceptions.Fault as fault:
    print(fault.code, fault.detail.findtext('.//{urn:uuk:fault}status'))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn zeep_calls_by_the_generated_wsdl() -> Result<()> {
    // Debian's, for which zeep is a package.
    let python = "/usr/bin/python3";
    if !succeeds(python, &["-c", "import zeep"]) {
        fixtures::skip("Python's zeep is not installed: `apt-get install python3-zeep`");
        return Ok(());
    }
    let scene = Scene::set().await?;
    let said = scene.said_by(python, &["-c", ZEEP]).await?;
    let person = scene.in_json(&format!("/people/{KNOWN}")).await?;
    let born = person.get("birth_date").and_then(serde_json::Value::as_str).context("a date")?;
    assert_eq!(said, format!("{KNOWN} {born}\nsoap:Client.PERSON_NOT_FOUND 404\n"));
    Ok(())
}

/// Calls as an agency in PHP would, and writes answers and faults as JSON.
const PHP: &str = r#"
[, $wsdl, $address, $known] = $argv;
$client = new SoapClient($wsdl, ['location' => $address, 'cache_wsdl' => WSDL_CACHE_NONE,
    'features' => SOAP_SINGLE_ELEMENT_ARRAYS]);
function identifier($member, $subsystem, $more) {
    return ['objectType' => $more ? 'SERVICE' : 'SUBSYSTEM', 'xRoadInstance' => 'KG', 'memberClass' => 'GOV',
        'memberCode' => $member, 'subsystemCode' => $subsystem] + $more;
}
function call($operation, $request) {
    static $calls = 0;
    global $client;
    $headers = ['client' => identifier('70000002', 'portal', []),
        'service' => identifier('70000001', 'registry', ['serviceCode' => $operation, 'serviceVersion' => 'v1']),
        'userId' => 'KG1', 'id' => 'php-' . ++$calls, 'protocolVersion' => '4.0'];
    $header = fn($name) => new SoapHeader('http://x-road.eu/xsd/xroad.xsd', $name, $headers[$name]);
    $client->__setSoapHeaders(array_map($header, array_keys($headers)));
    try {
        return $client->$operation($request);
    } catch (SoapFault $fault) {
        $problem = $fault->detail->problem;
        $fields = isset($problem->field) ? [$problem->field] : [];
        return ['status' => (int) $problem->status, 'code' => str_replace('soap:Client.', '', $fault->faultcode),
            'detail' => $fault->faultstring, 'problems' => $fields];
    }
}
$people = call('search', ['surname' => 'Ас', 'page_size' => 2]);
$people->people = $people->people->item;
echo json_encode([call('get', ['pin' => $known]), $people,
    call('get', ['pin' => '10101194999999']), call('get', ['pin' => '1'])]);
"#;

#[tokio::test(flavor = "multi_thread")]
async fn php_calls_by_the_generated_wsdl() -> Result<()> {
    if !succeeds("php", &["-r", "new SoapVar(1, XSD_INT);"]) {
        fixtures::skip("PHP's SOAP client is not installed: `apt-get install php-cli php-soap`");
        return Ok(());
    }
    let scene = Scene::set().await?;
    let said = scene.said_by("php", &["-r", PHP, "--"]).await?;
    let [person, people, nobody, malformed]: [serde_json::Value; 4] = serde_json::from_str(&said)?;
    assert_eq!(person, scene.in_json(&format!("/people/{KNOWN}")).await?);
    assert_eq!(people, scene.in_json("/people?surname=%D0%90%D1%81&page_size=2").await?);
    for (fault, path) in [(nobody, "/people/10101194999999"), (malformed, "/people/1")] {
        let mut expected = scene.in_json(path).await?;
        let members = expected.as_object_mut().context("a fault")?;
        // What HTTP says of a status by itself.
        members.retain(|name, _| !matches!(name.as_str(), "type" | "title"));
        assert_eq!(fault, expected);
    }
    Ok(())
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn personal_data_is_given_out_for_a_purpose() -> Result<()> {
    let scene = Scene::set().await?;
    let catalog = scene._folders[0].path().join("catalog.toml");
    fs::write(&catalog, fs::read_to_string(&catalog)? + "personal = true\n")?;
    let refusal = "does not say what for";
    let is_refused = || async { scene.get(KNOWN).await.is_ok_and(|answer| answer.contains(refusal)) };
    scene._servers[1].until("the catalog counts", Duration::from_secs(60), is_refused).await?;

    let body = format!("<p:get xmlns:p=\"{NAMESPACE}\"><p:pin>{KNOWN}</p:pin></p:get>");
    let for_issue = |issue: &str| {
        let issue = format!("<x:issue>{issue}</x:issue><x:protocolVersion>");
        envelope("get", &body).replace("<x:protocolVersion>", &issue)
    };
    let answer = scene.send(for_issue(" ")).await?;
    ensure!(answer.contains(refusal), "{answer}");
    let answer = scene.send(for_issue("12/2026")).await?;
    ensure!(answer.contains("getResponse"), "{answer}");

    let path = format!("/r1/KG/GOV/70000001/registry/person/people/{KNOWN}");
    for (header, purpose, status) in [
        ("x-road-user", "KG1234", 502),
        ("x-road-issue", " ", 502),
        ("x-road-issue", "12/2026", 200),
        ("x-road-purpose", "pension", 200),
    ] {
        let headers = [("x-road-client", uuk_e2e::CLIENT), (header, purpose)];
        let reply = scene.client.call(Method::GET, &path, &headers, bytes::Bytes::new()).await?;
        let told = String::from_utf8_lossy(&reply.body).into_owned();
        ensure!(reply.status.as_u16() == status, "{header}: {purpose}: {} {told}", reply.status);
        ensure!((status == 200) != told.contains(refusal), "{told}");
    }
    Ok(())
}
