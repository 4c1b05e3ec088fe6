//! The web pages and the HTTP API of a central server.
//!
//! Both do the same: the desk looks whether a person may do what they want, by one table of roles and actions, and
//! lets [`uuk_central::Central`] do it. The API knows people by tokens, the pages by sessions. What an action means, and
//! when it has a place, is not known here. Start with [`Console`].

#![warn(missing_docs)]

mod api;
mod authorize;
mod catalog_desk;
mod config;
mod console;
mod desk;
mod download;
mod form;
mod letters;
mod mailer;
mod openapi;
mod openid;
mod pages;
mod problem;
mod public_api;
mod reply;
mod texts;
mod upload;
mod vetting_desk;

pub use config::{ConsoleConfig, ContactConfig};
pub use console::{Console, ConsoleError};
pub use mailer::{MailConfig, MailError, MailSecurity, Mailer};
pub use openid::{OpenIdConfig, OpenIdError};
