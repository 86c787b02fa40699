//! Prompts to token ids, as the published text encoders were fed (sat-inference section 3).

use super::{ModelError, TextKind};
use std::path::Path;
use tokenizers::pipeline::{EncodeOptions, PipelineTokenizer};

/// A model's tokenizer with the habits of its text encoder.
pub struct Tokenizer {
    inner: PipelineTokenizer,
    kind: TextKind,
    max_length: usize,
    cls: i64,
    sep: i64,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("kind", &self.kind)
            .field("max_length", &self.max_length)
            .finish()
    }
}

/// Token ids of several prompts, padded to one length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Ids, prompt by prompt.
    pub ids: Vec<i64>,
    /// 1 where the encoder shall look.
    pub mask: Vec<i64>,
    /// Ids per prompt.
    pub length: usize,
}

impl Tokenizer {
    /// Reads a Hugging Face `tokenizer.json`, of this or an older format.
    pub fn open(path: &Path, kind: TextKind, max_length: usize) -> Result<Tokenizer, ModelError> {
        let fault = |fault: String| ModelError::BadTokenizer {
            path: path.to_owned(),
            fault,
        };
        let text = std::fs::read_to_string(path).map_err(|source| ModelError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let canonical = tokenizers::canonicalize_str(&text).map_err(|error| fault(error.to_string()))?;
        let inner = tokenizers::from_json(&canonical).map_err(|error| fault(error.to_string()))?;
        let json: serde_json::Value = serde_json::from_str(&text).map_err(|error| fault(error.to_string()))?;
        let unknown = json["model"]["unk_token"].as_str().unwrap_or("[UNK]");
        // The published code looks "[CLS]" and "[SEP]" up by name, whatever the base tokenizer calls its own; a
        // vocabulary without them (MPNet's has <s> and </s>) yields the id of the unknown token.
        let id = |token: &str| id_of(&json, token).or_else(|| id_of(&json, unknown));
        let (cls, sep) = (id("[CLS]"), id("[SEP]"));
        match (cls, sep) {
            (Some(cls), Some(sep)) => Ok(Tokenizer {
                inner,
                kind,
                max_length: max_length.max(2),
                cls,
                sep,
            }),
            _ => Err(fault(
                "the vocabulary has neither [CLS] and [SEP] nor an unknown token".to_owned(),
            )),
        }
    }

    /// Ids of `prompts`, lower-cased, padded with id 0.
    pub fn encode(&self, prompts: &[&str]) -> Result<Tokens, ModelError> {
        let rows = prompts
            .iter()
            .map(|prompt| self.ids(prompt))
            .collect::<Result<Vec<_>, _>>()?;
        let length = rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut tokens = Tokens {
            ids: Vec::with_capacity(rows.len() * length),
            mask: Vec::with_capacity(rows.len() * length),
            length,
        };
        for row in rows {
            let padded = row.iter().copied().chain(std::iter::repeat(0)).take(length);
            tokens.ids.extend(padded);
            // `ours` masks by id > 0, whatever id 0 means in that vocabulary; the others mask by position.
            let mask = (0..length).map(|i| match self.kind {
                TextKind::Ours => i64::from(row.get(i).is_some_and(|id| *id > 0)),
                TextKind::Medcpt | TextKind::Basebert => i64::from(i < row.len()),
            });
            tokens.mask.extend(mask);
        }
        Ok(tokens)
    }

    fn ids(&self, prompt: &str) -> Result<Vec<i64>, ModelError> {
        let failed = |fault: String| ModelError::Prompt {
            prompt: prompt.to_owned(),
            fault,
        };
        let specials = self.kind != TextKind::Ours;
        let options = EncodeOptions {
            add_special_tokens: specials,
            ..EncodeOptions::default()
        };
        let encodings = self
            .inner
            .encode(prompt.to_lowercase().as_str(), &options)
            .wait()
            .map_err(|error| failed(error.to_string()))?;
        let encoding = encodings
            .first()
            .ok_or_else(|| failed("the tokenizer gave nothing back".to_owned()))?;
        let pieces = encoding.ids().iter().map(|id| i64::from(u32::from(*id)));
        let mut ids: Vec<i64> = match self.kind {
            TextKind::Ours => std::iter::once(self.cls)
                .chain(pieces)
                .chain(std::iter::once(self.sep))
                .collect(),
            TextKind::Medcpt | TextKind::Basebert => pieces.collect(),
        };
        if ids.len() > self.max_length {
            ids.truncate(self.max_length);
            ids[self.max_length - 1] = self.sep;
        }
        Ok(ids)
    }
}

fn id_of(json: &serde_json::Value, token: &str) -> Option<i64> {
    let added = json["added_tokens"].as_array().into_iter().flatten();
    json["model"]["vocab"][token].as_i64().or_else(|| {
        added
            .filter(|entry| entry["content"] == token)
            .find_map(|entry| entry["id"].as_i64())
    })
}
