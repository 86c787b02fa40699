//! Bodies of several parts, part by part as they come (RFC 2046 section 5.1, PS3.18 section 8.6.1.2).

use std::io::Read;

/// Characters of a boundary. RFC 2046 allows 70; Orthanc's own have 73.
const LONGEST_BOUNDARY: usize = 200;
/// Bytes of what may stand before the first part, or of one part's headers.
const MOST_HEAD: usize = 16 << 10;
/// Bytes that are looked at together.
const BUFFER: usize = 64 << 10;

/// Why a body of several parts could not be read.
#[derive(Debug, thiserror::Error)]
pub enum MultipartError {
    /// The media type names none, or one that cannot be.
    #[error("its media type names no boundary")]
    NoBoundary,
    /// It ends before its last boundary.
    #[error("it breaks off before its last part is whole")]
    BreaksOff,
    /// Headers, or what stands before the first part, that go on and on.
    #[error("more than {MOST_HEAD} bytes stand before a part")]
    LongHead,
    /// What follows a boundary is no part.
    #[error("a boundary is followed by what is no part")]
    NoPart,
    /// The stream broke.
    #[error("{0}")]
    Read(#[source] std::io::Error),
}

/// A media type with its parameters (RFC 9110 section 8.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType {
    /// `type/subtype`, in small letters.
    pub essence: String,
    parameters: Vec<(String, String)>,
}

impl MediaType {
    /// Takes a header's value apart; what is no parameter is passed over.
    pub fn parse(text: &str) -> MediaType {
        let mut pieces = pieces(text).into_iter();
        let essence = pieces.next().unwrap_or_default().trim().to_ascii_lowercase();
        let parameters = pieces.filter_map(|piece| {
            let (name, value) = piece.split_once('=')?;
            Some((name.trim().to_ascii_lowercase(), unquoted(value.trim())))
        });
        MediaType {
            essence,
            parameters: parameters.collect(),
        }
    }

    /// A parameter's value.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What stands between semicolons that are not quoted.
fn pieces(text: &str) -> Vec<String> {
    let (mut pieces, mut quoted, mut escaped) = (vec![String::new()], false, false);
    for letter in text.chars() {
        if letter == ';' && !quoted {
            pieces.push(String::new());
            continue;
        }
        quoted ^= letter == '"' && !escaped;
        escaped = letter == '\\' && quoted && !escaped;
        if let Some(piece) = pieces.last_mut() {
            piece.push(letter);
        }
    }
    pieces
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut escaped = false;
    let kept = inner.chars().filter(|letter| {
        escaped = *letter == '\\' && !escaped;
        !escaped
    });
    kept.collect()
}

/// A body of several parts. [`Multipart::next_part`] goes to the next one, of which [`Multipart::read_part`] then gives the bytes.
/// It holds some ten thousand bytes whatever the body is, and never reads behind the last boundary.
pub struct Multipart<R> {
    reader: R,
    /// A line's end, two dashes and the boundary: what ends a part.
    delimiter: Vec<u8>,
    buffer: Vec<u8>,
    start: usize,
    ended: bool,
}

impl<R: Read> Multipart<R> {
    /// A body of this media type.
    ///
    /// # Errors
    /// When the type names no boundary.
    pub fn new(reader: R, of: &MediaType) -> Result<Multipart<R>, MultipartError> {
        let boundary = of.parameter("boundary").unwrap_or_default();
        let plain = boundary.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if boundary.is_empty() || boundary.len() > LONGEST_BOUNDARY || !plain {
            return Err(MultipartError::NoBoundary);
        }
        Ok(Multipart {
            reader,
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            // The first boundary need not stand behind a line's end.
            buffer: b"\r\n".to_vec(),
            start: 0,
            ended: false,
        })
    }

    /// Goes to the next part, over what is left of this one, which should be little, and gives its headers; none where there
    /// is no more.
    ///
    /// # Errors
    /// When the body is no such body, or its stream breaks.
    pub fn next_part(&mut self) -> Result<Option<Vec<(String, String)>>, MultipartError> {
        if self.ended {
            return Ok(None);
        }
        let mut rest = [0; 4096];
        let mut passed = 0;
        loop {
            match self.read_part(&mut rest)? {
                0 => break,
                count => passed += count,
            }
            if passed > MOST_HEAD {
                return Err(MultipartError::LongHead);
            }
        }
        self.start += self.delimiter.len();
        // Two dashes end it all; else there may be blanks to the line's end.
        self.fill(2)?;
        if self.ahead().starts_with(b"--") {
            self.ended = true;
            return Ok(None);
        }
        let mut blanks = 0;
        loop {
            self.fill(2)?;
            match self.ahead() {
                [b'\r', b'\n', ..] => break,
                [b' ' | b'\t', ..] if blanks < MOST_HEAD => blanks += 1,
                [_, _, ..] => return Err(MultipartError::NoPart),
                _ => return Err(MultipartError::BreaksOff),
            }
            self.start += 1;
        }
        // The line's end stays, so that headers end at the first empty line even where there are none.
        self.headers().map(Some)
    }

    /// Bytes of this part; none at its end.
    ///
    /// # Errors
    /// When the body ends within the part, or its stream breaks.
    pub fn read_part(&mut self, into: &mut [u8]) -> Result<usize, MultipartError> {
        if into.is_empty() || self.ended {
            return Ok(0);
        }
        loop {
            let safe = match find(self.ahead(), &self.delimiter) {
                Some(at) => at,
                // What may be a delimiter's beginning waits for the rest of it.
                None => self.ahead().len().saturating_sub(self.delimiter.len() - 1),
            };
            if safe > 0 {
                let count = safe.min(into.len());
                into[..count].copy_from_slice(&self.ahead()[..count]);
                self.start += count;
                return Ok(count);
            }
            if self.ahead().starts_with(&self.delimiter) {
                return Ok(0);
            }
            if !self.more()? {
                return Err(MultipartError::BreaksOff);
            }
        }
    }

    fn headers(&mut self) -> Result<Vec<(String, String)>, MultipartError> {
        const END: &[u8] = b"\r\n\r\n";
        let end = loop {
            match find(self.ahead(), END) {
                Some(end) if end <= MOST_HEAD => break end,
                None if self.ahead().len() < MOST_HEAD + END.len() => {}
                _ => return Err(MultipartError::LongHead),
            }
            if !self.more()? {
                return Err(MultipartError::BreaksOff);
            }
        };
        let text = String::from_utf8_lossy(&self.ahead()[..end]).into_owned();
        self.start += end + END.len();
        // An empty part's boundary may begin with the line's end that its headers end with.
        self.fill(self.delimiter.len() - 2)?;
        if self.ahead().starts_with(&self.delimiter[2..]) {
            self.start -= 2;
        }
        let headers = text.split("\r\n").filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        Ok(headers.collect())
    }

    fn ahead(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Reads on until `count` bytes are ahead, or there are no more.
    fn fill(&mut self, count: usize) -> Result<(), MultipartError> {
        while self.ahead().len() < count && self.more()? {}
        Ok(())
    }

    /// Reads on; false at the end of the stream.
    fn more(&mut self) -> Result<bool, MultipartError> {
        // Two bytes stay before what is ahead: `headers` may go back over them.
        let past = self.start.saturating_sub(2);
        self.buffer.drain(..past);
        self.start -= past;
        let filled = self.buffer.len();
        self.buffer.resize(filled.max(BUFFER) + BUFFER / 4, 0);
        let read = loop {
            match self.reader.read(&mut self.buffer[filled..]) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(filled + read.as_ref().copied().unwrap_or(0));
        Ok(read.map_err(MultipartError::Read)? > 0)
    }
}

/// Where `what` first stands.
fn find(within: &[u8], what: &[u8]) -> Option<usize> {
    let first = *what.first()?;
    let mut from = 0;
    while let Some(at) = within[from..].iter().position(|byte| *byte == first) {
        if within[from + at..].starts_with(what) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

#[cfg(test)]
mod tests;
