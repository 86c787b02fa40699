//! NIfTI-1 files made byte by byte, so that what the library reads was not written by it.
#![allow(dead_code)] // each test takes a part of it

use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;

/// A little-endian image of 4 x 3 x 2 int16 voxels 0, 1, 2, … with 2 mm voxels; change what a test is about.
pub struct Nifti {
    pub header: Vec<u8>,
    pub data: Vec<u8>,
}

impl Nifti {
    pub fn new() -> Nifti {
        let mut nifti = Nifti {
            header: vec![0; 352],
            data: (0..24_i16).flat_map(i16::to_le_bytes).collect(),
        };
        nifti.put(0, 348_i32.to_le_bytes()).dim(&[3, 4, 3, 2]).datatype(4, 16);
        nifti
            .pixdim(&[1.0, 2.0, 2.0, 2.0])
            .put(108, 352_f32.to_le_bytes())
            .put(344, *b"n+1\0");
        nifti.sform([[2.0, 0.0, 0.0, -5.0], [0.0, 2.0, 0.0, 7.0], [0.0, 0.0, 2.0, 9.0]]);
        nifti
    }

    pub fn put<const N: usize>(&mut self, at: usize, bytes: [u8; N]) -> &mut Nifti {
        self.header[at..at + N].copy_from_slice(&bytes);
        self
    }

    pub fn dim(&mut self, dim: &[i16]) -> &mut Nifti {
        self.header[40..56].fill(0);
        for (n, length) in dim.iter().enumerate() {
            self.put(40 + 2 * n, length.to_le_bytes());
        }
        self
    }

    pub fn datatype(&mut self, code: i16, bits: i16) -> &mut Nifti {
        self.put(70, code.to_le_bytes()).put(72, bits.to_le_bytes())
    }

    pub fn pixdim(&mut self, pixdim: &[f32]) -> &mut Nifti {
        for (n, value) in pixdim.iter().enumerate() {
            self.put(76 + 4 * n, value.to_le_bytes());
        }
        self
    }

    pub fn scaling(&mut self, slope: f32, inter: f32) -> &mut Nifti {
        self.put(112, slope.to_le_bytes()).put(116, inter.to_le_bytes())
    }

    pub fn sform(&mut self, rows: [[f32; 4]; 3]) -> &mut Nifti {
        self.put(254, 1_i16.to_le_bytes());
        for (n, value) in rows.iter().flatten().enumerate() {
            self.put(280 + 4 * n, value.to_le_bytes());
        }
        self
    }

    pub fn floats(&mut self, values: &[f32]) -> &mut Nifti {
        self.data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.datatype(16, 32)
    }

    /// As the other byte order would have it.
    pub fn big_endian(&mut self, bytes_a_voxel: usize) -> &mut Nifti {
        let fields: &[(usize, usize, usize)] = &[
            (0, 4, 1),
            (32, 4, 1),
            (36, 2, 1),
            (40, 2, 8),
            (56, 4, 3),
            (68, 2, 4),
            (76, 4, 11),
            (120, 2, 1),
            (124, 4, 6),
            (252, 2, 2),
            (256, 4, 18),
        ];
        for &(start, size, count) in fields {
            self.header[start..start + size * count]
                .chunks_mut(size)
                .for_each(<[u8]>::reverse);
        }
        self.data.chunks_mut(bytes_a_voxel).for_each(<[u8]>::reverse);
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        [&self.header[..], &self.data[..]].concat()
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A folder that goes away with the test.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }
}
