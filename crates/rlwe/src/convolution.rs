//! How a two-dimensional convolution is cut into polynomials.

use crate::error::Error;
use crate::packing::{block_sizes, cost, Packing};
use crate::params::{Params, TERMS};

/// Sizes of a convolution without padding: of an input of (channels, height, width), kernels of (kernels, channels,
/// kernel height, kernel width), a result of (kernels, rows, columns), all in this order of dimensions. Whoever needs
/// padding pads its share with zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    pub kernels: usize,
    pub kernel_height: usize,
    pub kernel_width: usize,
    pub stride: usize,
}

impl Shape {
    /// (rows, columns) of the result.
    pub fn result(&self) -> [usize; 2] {
        [
            (self.height - self.kernel_height) / self.stride + 1,
            (self.width - self.kernel_width) / self.stride + 1,
        ]
    }
}

/// Tiles of the result, blocks of channels and of kernels.
///
/// A tile of H x W numbers of the input in C channels: number (c, i, j) is the coefficient of x^(c H W + i W + j). Of
/// kernel m, number (c, y, z) is that of x^(O + m C H W - c H W - y W - z), with O = (C - 1) H W + (h - 1) W + w - 1 so
/// that no exponent is negative. Then the product's coefficient of x^(O + m C H W + i W + j) is the result at the
/// input's (i, j): exponents match only where c, i - y and j - z do (Cheetah, eprint 2022/207, section 4.2; several
/// kernels in one polynomial as several columns of a matrix). Kernels whose m C H W <= N end before x^N, and what
/// wraps around ends before x^O.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Convolution {
    pub shape: Shape,
    /// Rows and columns of the result in a tile.
    pub tile: [usize; 2],
    /// Channels and kernels in a block.
    pub block: [usize; 2],
    degree: usize,
}

impl Convolution {
    /// The one of the least cost.
    pub fn new(params: &Params, shape: Shape) -> Result<Convolution, Error> {
        let degree = params.chain.degree;
        // One kernel's window, in one channel, has to fit a polynomial.
        let window = shape.kernel_height.saturating_mul(shape.kernel_width);
        let inner = shape.channels.saturating_mul(window);
        for (got, most) in [
            (shape.height, TERMS),
            (shape.width, TERMS),
            (inner, TERMS),
            (window, degree),
            (shape.kernels, TERMS),
            (shape.stride, TERMS),
            (shape.kernel_height, shape.height),
            (shape.kernel_width, shape.width),
        ] {
            if got == 0 || got > most {
                return Err(Error::Inner { got, most });
            }
        }
        let [rows, columns] = shape.result();
        let mut plans = Vec::new();
        for tall in block_sizes(rows, rows) {
            for wide in block_sizes(columns, columns) {
                let plan = Convolution {
                    shape,
                    tile: [tall, wide],
                    block: [1, 1],
                    degree,
                };
                let area = plan.area();
                for channels in block_sizes(shape.channels, degree / area) {
                    // The noise of an answer is that of all blocks of channels.
                    let padded = shape.channels.div_ceil(channels) * channels * window;
                    let most = (degree / (channels * area)).min((TERMS / padded).max(1));
                    for kernels in block_sizes(shape.kernels, most) {
                        plans.push(Convolution {
                            block: [channels, kernels],
                            ..plan
                        });
                    }
                }
            }
        }
        let best = plans.into_iter().min_by_key(|plan| cost(plan, params));
        best.ok_or(Error::Inner {
            got: window,
            most: degree,
        })
    }

    /// (H, W) of the input that a tile needs.
    fn input(&self) -> [usize; 2] {
        let s = &self.shape;
        [
            (self.tile[0] - 1) * s.stride + s.kernel_height,
            (self.tile[1] - 1) * s.stride + s.kernel_width,
        ]
    }

    fn area(&self) -> usize {
        let [height, width] = self.input();
        height * width
    }

    /// How many (rows, columns) of tiles there are.
    fn tiles(&self) -> [usize; 2] {
        let [rows, columns] = self.shape.result();
        [rows.div_ceil(self.tile[0]), columns.div_ceil(self.tile[1])]
    }

    /// The first (row, column) of the result in a tile.
    fn corner(&self, tile: usize) -> [usize; 2] {
        let across = self.tiles()[1];
        [tile / across * self.tile[0], tile % across * self.tile[1]]
    }

    /// O: the exponent of a kernel's first number.
    fn origin(&self) -> usize {
        let s = &self.shape;
        (self.block[0] - 1) * self.area() + (s.kernel_height - 1) * self.input()[1] + s.kernel_width
            - 1
    }
}

impl Packing for Convolution {
    fn degree(&self) -> usize {
        self.degree
    }

    fn counts(&self) -> [usize; 3] {
        let [down, across] = self.tiles();
        let [channels, kernels] = self.block;
        [
            down * across,
            self.shape.channels.div_ceil(channels),
            self.shape.kernels.div_ceil(kernels),
        ]
    }

    fn sizes(&self) -> [usize; 3] {
        let s = &self.shape;
        let [rows, columns] = s.result();
        [
            s.channels * s.height * s.width,
            s.kernels * s.channels * s.kernel_height * s.kernel_width,
            s.kernels * rows * columns,
        ]
    }

    fn encrypted(&self, row: usize, inner: usize, mut put: impl FnMut(usize, usize, bool)) {
        let s = &self.shape;
        let [tall, wide] = self.input();
        let [top, left] = self.corner(row).map(|x| x * s.stride);
        let first = inner * self.block[0];
        for c in 0..self.block[0].min(s.channels - first) {
            for i in 0..tall.min(s.height - top) {
                for j in 0..wide.min(s.width - left) {
                    let element = ((first + c) * s.height + top + i) * s.width + left + j;
                    put((c * tall + i) * wide + j, element, false);
                }
            }
        }
    }

    fn plain(&self, inner: usize, column: usize, mut put: impl FnMut(usize, usize)) {
        let s = &self.shape;
        let wide = self.input()[1];
        let [channels, kernels] = self.block;
        let (channel, kernel) = (inner * channels, column * kernels);
        for m in 0..kernels.min(s.kernels - kernel) {
            for c in 0..channels.min(s.channels - channel) {
                for y in 0..s.kernel_height {
                    for z in 0..s.kernel_width {
                        let start = self.origin() + m * channels * self.area();
                        let exponent = start - c * self.area() - y * wide - z;
                        let of_kernel = (kernel + m) * s.channels + channel + c;
                        put(
                            exponent,
                            (of_kernel * s.kernel_height + y) * s.kernel_width + z,
                        );
                    }
                }
            }
        }
    }

    fn plain_length(&self) -> usize {
        self.origin() + (self.block[1] - 1) * self.block[0] * self.area() + 1
    }

    fn results(&self) -> usize {
        self.block[1] * self.tile[0] * self.tile[1]
    }

    fn position(&self, i: usize) -> usize {
        let [tall, wide] = self.tile;
        let (m, i, j) = (i / (tall * wide), i / wide % tall, i % wide);
        let start = self.origin() + m * self.block[0] * self.area();
        start + (i * self.input()[1] + j) * self.shape.stride
    }

    fn result(&self, row: usize, column: usize, i: usize) -> Option<usize> {
        let [tall, wide] = self.tile;
        let [top, left] = self.corner(row);
        let m = column * self.block[1] + i / (tall * wide);
        let (i, j) = (top + i / wide % tall, left + i % wide);
        let [rows, columns] = self.shape.result();
        (m < self.shape.kernels && i < rows && j < columns).then_some((m * rows + i) * columns + j)
    }

    fn describe(&self) -> Vec<u64> {
        let s = &self.shape;
        let shape = [
            s.channels,
            s.height,
            s.width,
            s.kernels,
            s.kernel_height,
            s.kernel_width,
            s.stride,
        ];
        let numbers = shape.into_iter().chain(self.tile).chain(self.block);
        std::iter::once(2)
            .chain(numbers.map(|x| x as u64))
            .collect()
    }
}
