use uuk_pki::Sha256;

use super::{Passed, PeopleError, Person};
use crate::central::{Central, CentralError};

/// Whom an OpenID provider says somebody is. It says so to this program only, and is kept as a digest: a provider may name
/// people by the number in their passports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenIdIdentity(Sha256);

impl OpenIdIdentity {
    /// The `subject` of an `issuer`, which tells its subjects apart.
    pub fn new(issuer: &str, subject: &str) -> Self {
        // No issuer has a line end: it is an address.
        Self(Sha256::of(format!("{issuer}\n{subject}").as_bytes()))
    }
}

impl Central {
    /// Lets in who was invited, now and from now on as whom the provider knows them, and not by a password.
    ///
    /// # Errors
    /// [`PeopleError::Invitation`] or [`PeopleError::TakenIdentity`], or if the database cannot be used.
    pub async fn accept_invitation_by_openid(
        &self,
        invitation: &str,
        identity: &OpenIdIdentity,
    ) -> Result<Passed, PeopleError> {
        let invited = self.invited(invitation).await?;
        self.check_free(identity, &invited).await?;
        let set = |person: &mut Person| person.openid = Some(identity.0);
        let person = self.accept(&invited, invitation, "set-openid", set).await?;
        // Again: of two who accept in the same moment, neither is let in.
        self.check_free(identity, &person).await?;
        self.begin_session(person).await
    }

    /// Refuses an identity that is somebody else's.
    async fn check_free(&self, identity: &OpenIdIdentity, person: &Person) -> Result<(), PeopleError> {
        match self.known_by(identity).await?.iter().all(|other| other.name == person.name) {
            true => Ok(()),
            false => Err(PeopleError::TakenIdentity),
        }
    }

    /// Lets somebody in of whom the provider has made sure; a second factor is the provider's to ask for.
    ///
    /// # Errors
    /// [`PeopleError::UnknownIdentity`], or if the database cannot be used.
    pub async fn sign_in_by_openid(&self, identity: &OpenIdIdentity) -> Result<Passed, PeopleError> {
        // Two who accepted in the same moment are nobody until one of them is invited anew.
        match <[Person; 1]>::try_from(self.known_by(identity).await?) {
            Ok([person]) => self.begin_session(person).await,
            Err(_) => Err(PeopleError::UnknownIdentity),
        }
    }

    async fn known_by(&self, identity: &OpenIdIdentity) -> Result<Vec<Person>, CentralError> {
        let (mut people, now) = (self.people().await?, self.clock().now());
        people.retain(|person| person.acts_at(now) && person.openid == Some(identity.0));
        Ok(people)
    }
}
