//! The skill that teaches a model the whole way, from a report to a sentence (SEP-2640). Its files lie in `share/skills` for people to
//! read, and in the program for clients.

use super::hints::Keep;
use super::reply::{notes, protocol_error};
use crate::service::{Code, Fault};
use rmcp::ErrorData;
use rmcp::model::{
    DIRECTORY_MIME_TYPE, GetSkillResult, ListSkillsResult, ReadResourceDirectoryResult, Resource, ResourceContents,
    Role, SKILL_MD, Skill, SkillFrontmatter, SkillResource, SkillResources,
};

/// Everything about the skill may be kept as long as the program runs.
pub(super) const KEEP: Keep = Keep::WhileServed;
const SCHEME: &str = "skill://";
const NAME: &str = "segment-radiology";
const MARKDOWN: &str = "text/markdown";

/// The files, by their paths below the skill's folder.
const FILES: [(&str, &str); 6] = [
    (SKILL_MD, include_str!("../../share/skills/segment-radiology/SKILL.md")),
    (
        "references/comparing-studies.md",
        include_str!("../../share/skills/segment-radiology/references/comparing-studies.md"),
    ),
    (
        "references/names.md",
        include_str!("../../share/skills/segment-radiology/references/names.md"),
    ),
    (
        "references/reading-results.md",
        include_str!("../../share/skills/segment-radiology/references/reading-results.md"),
    ),
    (
        "references/running.md",
        include_str!("../../share/skills/segment-radiology/references/running.md"),
    ),
    (
        "references/wording.md",
        include_str!("../../share/skills/segment-radiology/references/wording.md"),
    ),
];

/// `skills/list`: there is one.
pub(super) fn list(cursor: Option<&str>) -> Result<ListSkillsResult, ErrorData> {
    only_page(cursor)?;
    Ok(ListSkillsResult::with_all_items(vec![skill()]))
}

/// `skills/get`.
pub(super) fn get(uri: &str) -> Result<GetSkillResult, ErrorData> {
    let skill = skill();
    match skill.uri == uri {
        true => Ok(GetSkillResult::new(skill)),
        false => Err(ErrorData::invalid_params(
            format!("There is no skill {uri}. There is {}.", skill.uri),
            None,
        )),
    }
}

/// `resources/directory/read`: what lies right below a folder of the skill.
pub(super) fn directory(uri: &str, cursor: Option<&str>) -> Result<ReadResourceDirectoryResult, ErrorData> {
    only_page(cursor)?;
    let below = format!("{}/", uri.trim_end_matches('/'));
    let mut children: Vec<Resource> = Vec::new();
    for (path, text) in FILES {
        let file = address(path);
        let Some(rest) = file.strip_prefix(&below) else {
            continue;
        };
        let child = match rest.split_once('/') {
            None => listed(path, text),
            Some((folder, _)) => Resource::new(format!("{below}{folder}"), folder).with_mime_type(DIRECTORY_MIME_TYPE),
        };
        if !children.iter().any(|there| there.uri == child.uri) {
            children.push(child);
        }
    }
    match children.is_empty() {
        true => Err(ErrorData::invalid_params(
            format!("{uri} is no directory. There is {SCHEME}{NAME}."),
            None,
        )),
        false => Ok(ReadResourceDirectoryResult::with_all_items(children)),
    }
}

/// The file that a URI names.
pub(super) fn file(uri: &str) -> Result<ResourceContents, Fault> {
    let found = FILES.iter().find(|(path, _)| address(path) == uri);
    let (_, text) = found.ok_or_else(|| {
        Fault::new(Code::NotFound, format!("{uri}: no such resource."))
            .hint(format!("The skill begins at {}.", address(SKILL_MD)))
    })?;
    Ok(ResourceContents::text(*text, uri).with_mime_type(MARKDOWN))
}

/// What `resources/list` shows of it: where it begins.
pub(super) fn resources() -> Vec<Resource> {
    let (path, text) = FILES[0];
    let (name, description) = frontmatter(text);
    let entry = listed(path, text);
    vec![
        Resource::new(entry.uri, name)
            .with_title("Skill: from a report to masks, volumes and a sentence")
            .with_description(description)
            .with_mime_type(MARKDOWN)
            .with_size(text.len() as u64)
            .with_annotations(notes(&[Role::Assistant], 0.7, None)),
    ]
}

fn skill() -> Skill {
    let files = FILES.map(|(path, text)| SkillResource::from_bytes(address(path), text.as_bytes()));
    let (name, description) = frontmatter(FILES[0].1);
    Skill::new(
        address(SKILL_MD),
        SkillFrontmatter::new(name, description),
        SkillResources::Files(files.into()),
    )
}

fn listed(path: &str, text: &str) -> Resource {
    let name = path.rsplit('/').next().unwrap_or(path);
    let title = text.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or(name);
    Resource::new(address(path), name)
        .with_title(title)
        .with_mime_type(MARKDOWN)
        .with_size(text.len() as u64)
}

fn address(path: &str) -> String {
    format!("{SCHEME}{NAME}/{path}")
}

/// Name and description: the two lines between the marks at the top of SKILL.md.
fn frontmatter(text: &'static str) -> (&'static str, &'static str) {
    let field = |key: &str| {
        let mut lines = text.lines().skip(1).take_while(|line| *line != "---");
        lines
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
            .unwrap_or_default()
    };
    (field("name"), field("description"))
}

fn only_page(cursor: Option<&str>) -> Result<(), ErrorData> {
    match cursor {
        None => Ok(()),
        Some(_) => Err(protocol_error(
            Fault::new(Code::InvalidArgument, "No such cursor.").hint("There is one page: ask without a cursor."),
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_skill_is_whole_and_every_file_it_points_to_is_there() {
        let skill = skill();
        skill.validate().unwrap();
        assert_eq!(skill.name(), NAME);
        assert!((80..=1024).contains(&skill.frontmatter.description.len()));
        for (path, text) in FILES.iter().skip(1) {
            assert!(
                FILES[0].1.contains(&format!("({path})")),
                "SKILL.md does not point to {path}"
            );
            assert!(text.starts_with("# "), "{path} has no title");
        }
        // Every file of the folder is in the program.
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("share/skills")
            .join(NAME);
        let references = std::fs::read_dir(folder.join("references")).unwrap().count();
        assert_eq!(references + 1, FILES.len());
    }
}
