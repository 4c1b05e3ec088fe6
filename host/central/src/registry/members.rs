use uuk_identifiers::{ClientId, MemberId, SubsystemId};

use super::{Group, Member, MemberClass, Refusal, Registry, Subsystem, check_text};

/// The group of all who own a security server, as X-Road's central servers have it: it follows from the servers, and gives
/// their owners the right to management requests.
pub(crate) const OWNERS: &str = "security-server-owners";

impl Registry {
    /// Adds a class of members, or describes one anew.
    ///
    /// # Errors
    /// If the code cannot be part of an identifier, or the description is no text.
    pub fn set_member_class(&mut self, code: &str, description: &str) -> Result<(), Refusal> {
        self.check_code(code)?;
        check_text("description", description)?;
        self.member_classes.insert(code.to_owned(), MemberClass { description: description.to_owned() });
        Ok(())
    }

    /// Removes a class that has no members.
    ///
    /// # Errors
    /// If it has, or is not there.
    pub fn remove_member_class(&mut self, code: &str) -> Result<(), Refusal> {
        if self.members.keys().any(|member| member.class == code) {
            return Err(Refusal::ClassInUse { class: code.to_owned() });
        }
        let removed = self.member_classes.remove(code);
        removed.map(drop).ok_or_else(|| Refusal::unknown("member class", code))
    }

    /// Adds a member.
    ///
    /// # Errors
    /// If it is there, or its class is not, or its name is no text.
    pub fn add_member(&mut self, id: &MemberId, name: &str) -> Result<(), Refusal> {
        let id = id.clone().checked()?;
        self.check_instance(&id.instance)?;
        check_text("name", name)?;
        if !self.member_classes.contains_key(&id.class) {
            return Err(Refusal::unknown("member class", &id.class));
        }
        if self.members.contains_key(&id) {
            return Err(Refusal::already("member", &id));
        }
        self.members.insert(id, Member { name: name.to_owned() });
        Ok(())
    }

    /// Gives a member another name.
    ///
    /// # Errors
    /// If it is not there, or the name is no text.
    pub fn rename_member(&mut self, id: &MemberId, name: &str) -> Result<(), Refusal> {
        check_text("name", name)?;
        let member = self.members.get_mut(id).ok_or_else(|| Refusal::unknown("member", id))?;
        member.name = name.to_owned();
        Ok(())
    }

    /// Removes a member, from groups too.
    ///
    /// # Errors
    /// If it is not there, has subsystems, or still has to do with a security server.
    pub fn remove_member(&mut self, id: &MemberId) -> Result<(), Refusal> {
        if !self.members.contains_key(id) {
            return Err(Refusal::unknown("member", id));
        }
        if self.subsystems.keys().any(|subsystem| subsystem.member == *id) {
            return Err(Refusal::MemberHasSubsystems { member: id.clone() });
        }
        let client = ClientId::Member(id.clone());
        if self.servers.iter().any(|(one, server)| one.owner == *id || server.clients.contains_key(&client)) {
            return Err(Refusal::MemberHasServers { member: id.clone() });
        }
        self.members.remove(id);
        self.leave_groups(&client);
        Ok(())
    }

    /// Adds a subsystem.
    ///
    /// # Errors
    /// If it is there, or its member is not, or its name is no text.
    pub fn add_subsystem(&mut self, id: &SubsystemId, name: Option<&str>) -> Result<(), Refusal> {
        let id = id.clone().checked()?;
        name.map_or(Ok(()), |name| check_text("name", name))?;
        if !self.members.contains_key(&id.member) {
            return Err(Refusal::unknown("member", &id.member));
        }
        if self.subsystems.contains_key(&id) {
            return Err(Refusal::already("subsystem", &id));
        }
        self.subsystems.insert(id, Subsystem { name: name.map(str::to_owned) });
        Ok(())
    }

    /// Gives a subsystem another name.
    ///
    /// # Errors
    /// If it is not there, or the name is no text.
    pub fn rename_subsystem(&mut self, id: &SubsystemId, name: &str) -> Result<(), Refusal> {
        check_text("name", name)?;
        let subsystem = self.subsystems.get_mut(id).ok_or_else(|| Refusal::unknown("subsystem", id))?;
        subsystem.name = Some(name.to_owned());
        Ok(())
    }

    /// Removes a subsystem, from groups too.
    ///
    /// # Errors
    /// If it is not there, or is a client of a security server.
    pub fn remove_subsystem(&mut self, id: &SubsystemId) -> Result<(), Refusal> {
        let client = ClientId::Subsystem(id.clone());
        if let Some((server, _)) =
            self.servers.iter().find(|(_, server)| server.clients.contains_key(&client))
        {
            let (subsystem, server) = (Box::new(id.clone()), Box::new(server.clone()));
            return Err(Refusal::SubsystemInUse { subsystem, server });
        }
        self.subsystems.remove(id).ok_or_else(|| Refusal::unknown("subsystem", id))?;
        self.leave_groups(&client);
        Ok(())
    }

    /// Adds a group without members, or describes one anew.
    ///
    /// # Errors
    /// If the code cannot be part of an identifier or is that of the owners, or the description is no text.
    pub fn set_group(&mut self, code: &str, description: &str) -> Result<(), Refusal> {
        self.check_code(code)?;
        if code == OWNERS {
            return Err(Refusal::OwnersGroup { code: code.to_owned() });
        }
        check_text("description", description)?;
        let new = || Group { description: String::new(), members: Default::default() };
        self.groups.entry(code.to_owned()).or_insert_with(new).description = description.to_owned();
        Ok(())
    }

    /// Removes a group, and with it the rights that were given to it.
    ///
    /// # Errors
    /// If it is not there.
    pub fn remove_group(&mut self, code: &str) -> Result<(), Refusal> {
        self.groups.remove(code).map(drop).ok_or_else(|| Refusal::unknown("group", code))
    }

    /// Takes a member or subsystem into a group.
    ///
    /// # Errors
    /// If one of them is not there.
    pub fn join_group(&mut self, code: &str, client: &ClientId) -> Result<(), Refusal> {
        self.check_client(client)?;
        let group = self.groups.get_mut(code).ok_or_else(|| Refusal::unknown("group", code))?;
        group.members.insert(client.clone());
        Ok(())
    }

    /// Takes a member or subsystem out of a group.
    ///
    /// # Errors
    /// If the group is not there, or the other not in it.
    pub fn leave_group(&mut self, code: &str, client: &ClientId) -> Result<(), Refusal> {
        let group = self.groups.get_mut(code).ok_or_else(|| Refusal::unknown("group", code))?;
        match group.members.remove(client) {
            true => Ok(()),
            false => Err(Refusal::unknown("member of the group", client)),
        }
    }

    /// Whether this member or subsystem is registered.
    pub(crate) fn check_client(&self, client: &ClientId) -> Result<(), Refusal> {
        match client {
            ClientId::Member(id) if self.members.contains_key(id) => Ok(()),
            ClientId::Subsystem(id) if self.subsystems.contains_key(id) => Ok(()),
            ClientId::Member(id) => Err(Refusal::unknown("member", id)),
            ClientId::Subsystem(id) => Err(Refusal::unknown("subsystem", id)),
        }
    }

    fn leave_groups(&mut self, client: &ClientId) {
        for group in self.groups.values_mut() {
            group.members.remove(client);
        }
    }

    /// Refuses a code that no identifier of this instance can have.
    fn check_code(&self, code: &str) -> Result<(), Refusal> {
        let (instance, class) = (self.settings.instance.clone(), code.to_owned());
        MemberId { instance, class, code: "code".into() }.checked()?;
        Ok(())
    }
}
