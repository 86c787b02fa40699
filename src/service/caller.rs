//! Who asks, and what that one may see of the store.

use serde::{Deserialize, Serialize};

/// Whose results a request reads and writes, and whether its answers say where files lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    reach: Reach,
    sees_paths: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Reach {
    /// All of the store.
    Everything,
    /// What belongs to nobody.
    Common,
    /// What belongs to this owner.
    Own(String),
}

impl Caller {
    /// A person at the command line, who has the results folder before them anyway.
    pub fn person() -> Caller {
        Caller {
            reach: Reach::Everything,
            sees_paths: true,
        }
    }

    /// A program on the same machine that nobody had to vouch for: it shares its results with all like it.
    pub fn neighbour() -> Caller {
        Caller {
            reach: Reach::Common,
            sees_paths: true,
        }
    }

    /// Somebody who has shown who they are. `identity` is a function of whom, the same for ever; it is only kept as a hash.
    pub fn named(identity: &str) -> Caller {
        Caller {
            reach: Reach::Own(blake3::hash(identity.as_bytes()).to_hex()[..32].to_owned()),
            sees_paths: true,
        }
    }

    /// The same caller without a share in the file system: answers name no paths.
    pub fn without_paths(self) -> Caller {
        Caller {
            sees_paths: false,
            ..self
        }
    }

    /// To whom a result belongs that is made for this caller; nobody's where absent.
    pub fn owner(&self) -> Option<&str> {
        match &self.reach {
            Reach::Own(owner) => Some(owner),
            Reach::Everything | Reach::Common => None,
        }
    }

    /// Whether this caller may know of what belongs to `owner`.
    pub fn may_see(&self, owner: Option<&str>) -> bool {
        matches!(self.reach, Reach::Everything) || self.owner() == owner
    }

    /// Whether answers say where files lie.
    pub fn sees_paths(&self) -> bool {
        self.sees_paths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_sees_its_own_and_a_person_everything() {
        let (ann, bob) = (Caller::named("ann"), Caller::named("bob"));
        assert!(ann.may_see(ann.owner()) && !ann.may_see(bob.owner()) && !ann.may_see(None));
        assert!(Caller::neighbour().may_see(None) && !Caller::neighbour().may_see(ann.owner()));
        assert!(Caller::person().may_see(ann.owner()) && Caller::person().may_see(None));
    }
}
