//! How much is read.

/// How large an image may be that is read. Files come from anywhere, and what they promise costs memory and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Voxels of one volume.
    pub voxels: u64,
    /// Bytes up to the last voxel that is needed, unpacked: what a gzip stream may grow to.
    pub unpacked_bytes: u64,
}

impl ReadLimits {
    /// 2^30 voxels, 4 GiB as floats: a whole body of 512 x 512 x 2000 has half as many. 16 GB unpacked: an hour of functional MRI.
    pub const DEFAULT: ReadLimits = ReadLimits {
        voxels: 1 << 30,
        unpacked_bytes: 16_000_000_000,
    };
}

impl Default for ReadLimits {
    fn default() -> ReadLimits {
        ReadLimits::DEFAULT
    }
}
