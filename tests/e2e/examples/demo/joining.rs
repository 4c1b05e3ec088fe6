//! How an institution joins: its head and the operator of the instance in their browsers, and what both do beside.

use std::fs;
use std::panic::AssertUnwindSafe;
use std::path::Path;

use anyhow::{Context, Result, bail};
use futures_util::FutureExt;
use uuk_e2e::{CLIENT, Central, Enrolled, Network, PROVIDER, Server};
use uuk_testkit::joining::{Joining, accept};

use crate::album::Album;
use crate::operator::Operator;
use crate::say;

/// What people call themselves where they sign in, and who they are.
pub(crate) const DESK: (&str, &str) = ("bekov", "B. Bekov");
pub(crate) const HEAD: (&str, &str) = ("asanova", "A. Asanova");

/// An institution that joins.
pub(crate) struct Applicant<'a> {
    pub(crate) side: &'a Enrolled,
    pub(crate) network: &'a Network,
    pub(crate) uuk: &'a Path,
    pub(crate) album: &'a Album,
}

impl Applicant<'_> {
    /// Goes from the application to a registered server, which runs.
    pub(crate) async fn join(&self, central: &Central, console: &str) -> Result<(Server, Joining)> {
        // Browsers panic where they do not get on.
        let joined = AssertUnwindSafe(self.go(central, console)).catch_unwind().await;
        joined.unwrap_or_else(|_| bail!("agency 2 cannot join"))
    }

    async fn go(&self, central: &Central, console: &str) -> Result<(Server, Joining)> {
        let joining = Joining::start(console).await.context("there is no browser")?;
        let Joining { head, desk } = &joining;
        let owner = self.side.registered.id().owner.to_string();
        accept(desk, &invite(central, DESK, &["operator"])?).await;
        accept(head, &invite(central, HEAD, &["head", "--member", &owner])?).await;
        step("their head writes an application and submits it");
        joining.write(HEAD.1).await;
        self.album.take(head, "application").await;
        joining.submit().await;
        step("the operator finds all of the checklist met");
        joining.review().await;
        self.album.take(desk, "review").await;
        joining.approve().await;
        step("both sign the agreement, and agree on how to connect");
        joining.agree(&format!("The server connects on port {}.", self.side.port)).await;
        step("the operator registers member and server; with the anchor, ss2 starts and gets keys");
        central.admit(self.side, "Portal of public services", CLIENT)?;
        central.hand_anchor(self.side.site.folder())?;
        let server = Server::start_with_us(&self.side.site)?;
        joining.prepare().await;
        Operator::new(self.side, self.network, self.uuk, false).certify()?;
        step("their certificates are handed in, found to fit, and registered");
        let file = |name: &str| self.side.site.folder().join(name);
        let [authentication, signing] = [file("authentication.pem"), file("signing.pem")];
        let certificates = [&authentication, &signing].map(fs::read_to_string);
        let [Ok(of_authentication), Ok(of_signing)] = &certificates else { bail!("no certificates") };
        joining.hand_in([of_authentication, of_signing]).await;
        joining.verify().await;
        central.register_certificate(self.side, &authentication)?;
        joining.register().await;
        Ok((server, joining))
    }

    /// The operator confirms the call that this digest of its record proves; the applicant is ready.
    pub(crate) async fn finish(&self, joining: &Joining, record: &str) -> Result<()> {
        let finishing = async {
            joining.finish(record).await;
            self.album.take(&joining.head, "ready").await;
            joining.desk.follow("form.person button").await;
            joining.desk.open(&format!("/catalog/{PROVIDER}/person")).await;
            self.album.take(&joining.desk, "catalog").await;
        };
        AssertUnwindSafe(finishing).catch_unwind().await.or_else(|_| bail!("agency 2 does not become ready"))
    }
}

/// Invites somebody; what they need to come in.
pub(crate) fn invite(central: &Central, (name, full_name): (&str, &str), role: &[&str]) -> Result<String> {
    let invited = central.run(&[&["person", "invite", name, full_name, "--role"], role].concat())?;
    Ok(invited.get("token").and_then(|token| token.as_str()).context("no invitation")?.to_owned())
}

fn step(what: &str) {
    say("", what);
}
