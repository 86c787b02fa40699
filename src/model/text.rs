//! Prompts to queries. A query depends on text, modality and model alone, so each is computed once and then kept: in
//! memory, and from one run to the next in a small file.

use super::session::{Sessions, expect};
use super::values::{array2, failed};
use super::{ModelError, ModelFolder, Precision, Provider, ProviderOptions, Queries, Runtime, Setup, Tokenizer};
use crate::volume::Modality;
use ndarray::Array2;
use ort::session::Session;
use ort::value::{Tensor, TensorElementType};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Most queries that the file keeps: SAT has 498, the rest are phrases that somebody tried. A full file stays as it is.
const MOST_KEPT: usize = 4096;

/// The text encoder and what it has said.
#[derive(Debug)]
pub struct TextEncoder {
    runtime: Runtime,
    graph: PathBuf,
    threads: usize,
    tokenizer: Tokenizer,
    width: usize,
    /// Started when a prompt comes up that isn't known, which is seldom.
    session: Option<Session>,
    known: Known,
}

impl TextEncoder {
    /// For the model in `folder`; the graph itself is loaded at the first prompt that is not known yet.
    pub fn new(runtime: &Runtime, folder: &ModelFolder, setup: &Setup) -> Result<TextEncoder, ModelError> {
        let text = &folder.manifest().text;
        let known = setup.cache.as_deref().map(|cache| {
            // Another build of ONNX Runtime may differ in a query's last bits.
            let of = format!("{} {} {}", folder.sha256(), Precision::Fp32, runtime.build_info());
            let name = &blake3::hash(of.as_bytes()).to_hex()[..32];
            Known::read(cache.join(format!("queries/{name}.queries")), text.query_width)
        });
        Ok(TextEncoder {
            runtime: runtime.clone(),
            graph: folder.file(&text.graph),
            threads: setup.threads,
            tokenizer: Tokenizer::open(&folder.file(&text.tokenizer), text.kind, text.max_length)?,
            width: text.query_width,
            session: None,
            known: known.unwrap_or_default(),
        })
    }

    /// One row a prompt.
    pub fn queries(&mut self, prompts: &[&str], modality: Modality) -> Result<Queries, ModelError> {
        let mut learned = false;
        for text in prompts {
            let key = (modality, (*text).to_owned());
            if self.known.rows.contains_key(&key) {
                continue;
            }
            // One prompt at a time: padding would let a neighbour's length touch the last bits of a query.
            let row = self.encode(text, modality)?;
            self.known.rows.insert(key, row);
            learned = true;
        }
        if learned {
            self.known.keep();
        }
        let rows = prompts
            .iter()
            .filter_map(|text| self.known.rows.get(&(modality, (*text).to_owned())));
        let rows: Vec<f32> = rows.flatten().copied().collect();
        Array2::from_shape_vec((prompts.len(), self.width), rows).map_err(failed)
    }

    /// About how long the queries of `prompts` would take: nothing for those that are known. One of the others is encoded to
    /// see.
    pub fn seconds(&mut self, prompts: &[&str], modality: Modality) -> f64 {
        let is_known = |text: &&str| self.known.rows.contains_key(&(modality, (*text).to_owned()));
        let unknown: Vec<&str> = prompts.iter().copied().filter(|text| !is_known(text)).collect();
        let Some(first) = unknown.first() else { return 0.0 };
        let mut timed = || {
            let began = Instant::now();
            self.started()?;
            let start = began.elapsed();
            self.queries(&[first], modality)?;
            Ok::<_, ModelError>((start, began.elapsed() - start))
        };
        timed().map_or(f64::INFINITY, |(start, text)| {
            (start + text * unknown.len() as u32).as_secs_f64()
        })
    }

    /// The query of a prompt that is not worth keeping.
    pub fn once(&mut self, prompt: &str, modality: Modality) -> Result<Vec<f32>, ModelError> {
        self.encode(prompt, modality)
    }

    /// Encodes a prompt and forgets it.
    pub fn prove(&mut self) -> Result<(), ModelError> {
        self.once("brain", Modality::Mri).map(drop)
    }

    fn started(&mut self) -> Result<&mut Session, ModelError> {
        Ok(match &mut self.session {
            Some(session) => session,
            none => none.insert(start(&self.runtime, &self.graph, self.threads, self.width)?),
        })
    }

    fn encode(&mut self, prompt: &str, modality: Modality) -> Result<Vec<f32>, ModelError> {
        let tokens = self.tokenizer.encode(&[prompt])?;
        let width = self.width;
        let session = self.started()?;
        let shape = [1, tokens.length];
        let outputs = session
            .run(ort::inputs![
                "input_ids" => Tensor::from_array((shape, tokens.ids)).map_err(failed)?,
                "attention_mask" => Tensor::from_array((shape, tokens.mask)).map_err(failed)?,
                "modality" => Tensor::from_array(([1], vec![modality.code()])).map_err(failed)?,
            ])
            .map_err(failed)?;
        Ok(array2(&outputs["query"], "queries", [1, width])?
            .into_raw_vec_and_offset()
            .0)
    }
}

/// Text is a few tokens, asked once: the CPU answers before another device has its kernels.
fn start(runtime: &Runtime, graph: &Path, threads: usize, width: usize) -> Result<Session, ModelError> {
    let sessions = Sessions {
        runtime,
        options: &ProviderOptions::default(),
        threads,
        engines: None,
    };
    let session = sessions.open(graph, Provider::Cpu, Precision::Fp32)?;
    let whole = TensorElementType::Int64;
    let inputs: [(&str, TensorElementType, &[i64]); 3] = [
        ("input_ids", whole, &[-1, -1]),
        ("attention_mask", whole, &[-1, -1]),
        ("modality", whole, &[-1]),
    ];
    let output: (&str, TensorElementType, &[i64]) = ("query", TensorElementType::Float32, &[-1, width as i64]);
    expect(&session, graph, &inputs, &[output])?;
    Ok(session)
}

/// Queries by modality and text.
#[derive(Debug, Default, PartialEq)]
struct Known {
    rows: BTreeMap<(Modality, String), Vec<f32>>,
    width: usize,
    /// Where they are kept; nowhere where absent.
    file: Option<PathBuf>,
}

/// First line of the file; the rows follow, in the same order.
#[derive(Serialize, Deserialize)]
struct Header {
    width: usize,
    prompts: Vec<(Modality, String)>,
    /// Hash of what follows, since a flipped bit would be another query and not an error.
    blake3: String,
}

impl Known {
    /// What `file` holds. One that can't be read is as good as none: its queries are computed again.
    fn read(file: PathBuf, width: usize) -> Known {
        let rows = std::fs::read(&file).ok().and_then(|bytes| Known::decode(&bytes, width));
        Known {
            rows: rows.unwrap_or_default(),
            width,
            file: Some(file),
        }
    }

    /// Writes the file, whole or not at all, with what another process has added meanwhile.
    fn keep(&mut self) {
        let Some(file) = self.file.clone() else { return };
        let others = Known::read(file.clone(), self.width);
        for (key, row) in others.rows {
            self.rows.entry(key).or_insert(row);
        }
        if self.rows.len() > MOST_KEPT {
            return;
        }
        let write = || {
            let folder = file.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder)?;
            let mut aside = new_file_in(folder)?;
            aside.write_all(&self.encode()?)?;
            aside.persist(&file).map_err(|error| error.error)
        };
        if let Err(error) = write() {
            tracing::warn!(file = %file.display(), %error, "text queries could not be kept and will be computed again");
        }
    }

    fn encode(&self) -> std::io::Result<Vec<u8>> {
        let values: Vec<u8> = self
            .rows
            .values()
            .flatten()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let header = Header {
            width: self.width,
            prompts: self.rows.keys().cloned().collect(),
            blake3: blake3::hash(&values).to_hex().to_string(),
        };
        let mut bytes = serde_json::to_vec(&header)?;
        bytes.push(b'\n');
        bytes.extend(values);
        Ok(bytes)
    }

    fn decode(bytes: &[u8], width: usize) -> Option<BTreeMap<(Modality, String), Vec<f32>>> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let header: Header = serde_json::from_slice(&bytes[..end]).ok()?;
        let values = &bytes[end + 1..];
        let whole = header.width == width
            && values.len() == header.prompts.len() * width * 4
            && blake3::hash(values).to_hex().as_str() == header.blake3;
        let rows = values.chunks_exact((width * 4).max(1)).map(|row| {
            let numbers = row.chunks_exact(4);
            numbers.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
        });
        whole.then(|| header.prompts.into_iter().zip(rows).collect())
    }
}

/// What any program's new file would be, the umask taken off; `tempfile`'s own are for their owner alone.
fn new_file_in(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::Builder::new();
    file.prefix(".partial-");
    #[cfg(unix)]
    file.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    file.tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn known(file: &Path, texts: &[&str]) -> Known {
        let mut known = Known::read(file.to_owned(), 2);
        for (i, text) in texts.iter().enumerate() {
            known
                .rows
                .insert((Modality::Mri, (*text).to_owned()), vec![i as f32, 0.5]);
        }
        known
    }

    #[test]
    fn queries_are_found_again_and_two_processes_add_up() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("queries/a.queries");
        let (mut first, mut second) = (known(&file, &["spleen"]), known(&file, &["liver"]));
        first.keep();
        second.keep();
        let read = Known::read(file.clone(), 2);
        assert_eq!(read.rows.len(), 2);
        assert_eq!(read.rows[&(Modality::Mri, "spleen".to_owned())], [0.0, 0.5]);
        let left = std::fs::read_dir(file.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1, "something was left beside the file");
    }

    #[test]
    fn a_damaged_file_is_as_good_as_none() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.queries");
        known(&file, &["spleen", "liver"]).keep();
        let whole = std::fs::read(&file).unwrap();
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for bytes in [&whole[..whole.len() - 3], &flipped, b"", b"{}\n"] {
            std::fs::write(&file, bytes).unwrap();
            assert!(Known::read(file.clone(), 2).rows.is_empty());
        }
        std::fs::write(&file, &whole).unwrap();
        assert!(Known::read(file, 3).rows.is_empty(), "rows of another width were taken");
    }

    #[test]
    fn a_folder_that_cannot_be_written_costs_nothing_but_time() {
        let dir = tempfile::tempdir().unwrap();
        let blocked = dir.path().join("blocked");
        std::fs::write(&blocked, b"a file, not a folder").unwrap();
        let mut queries = known(&blocked.join("a.queries"), &["spleen"]);
        queries.keep();
        assert_eq!(queries.rows.len(), 1);
    }
}
