use super::Visit;
use crate::desk::CaseView;

/// Technical instructions to begin with: all that is known of the applicant, the instance and the services, and where to write
/// what is not.
pub(super) fn draft(visit: &Visit, case: &CaseView) -> String {
    let Some(facts) = &case.instruction_facts else { return String::new() };
    let application = &case.application;
    let known_as = application.names.get(visit.language.code()).or(application.names.values().next());
    let persons = application.persons.iter().map(|person| {
        let duties = person.duties.iter().map(|duty| visit.text(&format!("duty/{duty}")));
        format!("{}, {}: {}", person.name, person.position, duties.collect::<Vec<_>>().join("; "))
    });
    let services = facts
        .services
        .iter()
        .map(|offered| format!("{}: {}, {}", offered.service, visit.pick(&offered.title), offered.contract));
    let systems = application.systems.iter().map(|system| format!("{}: {}", system.name, system.purpose));
    let stampers = facts.time_stamping.iter().map(|(name, url)| format!("{name}, {url}"));
    let values = [
        ("member", case.member.to_string()),
        ("name", known_as.cloned().unwrap_or_default()),
        ("address", application.address.clone()),
        ("instance", facts.instance.clone()),
        ("sources", items(facts.sources.iter().cloned())),
        ("certification", items(facts.certification.iter().cloned())),
        ("time_stamping", items(stampers)),
        ("systems", items(systems)),
        ("services", items(services)),
        ("persons", items(persons)),
    ];
    visit.language.fill_in("instructions/draft", &values)
}

/// One line each, or one to be filled in.
fn items(lines: impl Iterator<Item = String>) -> String {
    let lines: Vec<_> = lines.map(|line| format!("   - {}", line.replace('\n', " "))).collect();
    if lines.is_empty() { "   - …".to_owned() } else { lines.join("\n") }
}
