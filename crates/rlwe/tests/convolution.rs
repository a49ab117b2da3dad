//! Shares of convolutions against the convolution itself, over shapes.

use argot_rlwe::convolution::Shape;
use argot_rlwe::linear::{Client, Server};
use argot_rlwe::{Convolution, Error, Packing, Params, Plan};

fn numbers(seed: u8, n: usize) -> Vec<u64> {
    let mut words = vec![0; n];
    argot_prf::Stream::new(&[seed; 16]).words_at(0, &mut words);
    words
}

fn plain(s: Shape, input: &[u64], kernels: &[u64]) -> Vec<u64> {
    let [rows, columns] = s.result();
    let mut out = Vec::new();
    for m in 0..s.kernels {
        for i in 0..rows {
            for j in 0..columns {
                let mut sum = 0u64;
                for c in 0..s.channels {
                    for y in 0..s.kernel_height {
                        for z in 0..s.kernel_width {
                            let (row, column) = (i * s.stride + y, j * s.stride + z);
                            let x = input[(c * s.height + row) * s.width + column];
                            let of_kernel = (m * s.channels + c) * s.kernel_height + y;
                            let k = kernels[of_kernel * s.kernel_width + z];
                            sum = sum.wrapping_add(x.wrapping_mul(k));
                        }
                    }
                }
                out.push(sum);
            }
        }
    }
    out
}

fn shape(input: [usize; 3], kernels: usize, kernel: [usize; 2], stride: usize) -> Shape {
    Shape {
        channels: input[0],
        height: input[1],
        width: input[2],
        kernels,
        kernel_height: kernel[0],
        kernel_width: kernel[1],
        stride,
    }
}

#[test]
fn convolutions_of_many_shapes() {
    let params = Params::new(64, 64).unwrap();
    for (i, s) in [
        shape([1, 1, 1], 1, [1, 1], 1),
        shape([1, 5, 7], 1, [2, 3], 1),
        shape([3, 32, 32], 16, [3, 3], 1),
        shape([3, 33, 30], 5, [5, 2], 2),
        shape([16, 20, 20], 9, [1, 1], 1),
        shape([2, 150, 130], 3, [7, 7], 3),
        shape([64, 8, 8], 64, [3, 3], 1),
        shape([5, 9, 9], 2, [9, 9], 4),
    ]
    .into_iter()
    .enumerate()
    {
        let plan = Convolution::new(&params, s).unwrap();
        let [inputs, kernels, results] = plan.sizes();
        let (a, b) = (numbers(i as u8, inputs), numbers(50 + i as u8, kernels));
        let client = Client::new(&params).unwrap();
        let server = Server::new(&params, &client.public_key().unwrap()).unwrap();
        let request = client.request(&plan, &a).unwrap();
        assert_eq!(request.len(), plan.request_bytes(&params));
        let (answer, theirs) = server.answer(&plan, &request, &b).unwrap();
        assert_eq!(answer.len(), plan.answer_bytes(&params));
        let ours = client.finish(&plan, &answer).unwrap();
        let sum: Vec<u64> = ours
            .iter()
            .zip(&theirs)
            .map(|(x, y)| x.wrapping_add(*y))
            .collect();
        assert_eq!(sum.len(), results);
        assert_eq!(sum, plain(s, &a, &b), "{plan:?}");
        println!(
            "{s:?}: tiles of {:?}, blocks of {:?}",
            plan.tile, plan.block
        );
    }
}

#[test]
fn shapes_are_checked() {
    let params = Params::new(32, 4).unwrap();
    for s in [
        shape([0, 5, 5], 1, [2, 2], 1),
        shape([1, 5, 5], 0, [2, 2], 1),
        shape([1, 5, 5], 1, [6, 2], 1),
        shape([1, 5, 5], 1, [2, 6], 1),
        shape([1, 5, 5], 1, [2, 0], 1),
        shape([1, 5, 5], 1, [2, 2], 0),
        shape([1, 100, 100], 1, [70, 70], 1),
        shape([1 << 20, 5, 5], 1, [2, 2], 1),
        // Sizes whose products are beyond a word.
        shape([1, usize::MAX, 5], 1, [2, 2], 1),
        shape([1, 5, usize::MAX], 1, [2, 2], 1),
        shape([3, usize::MAX, usize::MAX], 1, [usize::MAX, 3], 1),
        shape([usize::MAX, 5, 5], usize::MAX, [2, 2], usize::MAX),
    ] {
        assert!(
            matches!(Convolution::new(&params, s), Err(Error::Inner { .. })),
            "{s:?}"
        );
    }
}

/// Both are linear in one interface, but not the same product.
#[test]
fn a_request_for_a_matrix_is_none_for_a_convolution() {
    let params = Params::new(32, 4).unwrap();
    let client = Client::new(&params).unwrap();
    let server = Server::new(&params, &client.public_key().unwrap()).unwrap();
    let matrix = Plan::new(&params, [1, 1, 1]).unwrap();
    let convolution = Convolution::new(&params, shape([1, 1, 1], 1, [1, 1], 1)).unwrap();
    let request = client.request(&matrix, &[1]).unwrap();
    let refused = server.answer(&convolution, &request, &[1]);
    assert!(matches!(refused, Err(Error::Shape { .. })));
    // A plan made for other parameters is no panic either.
    let wide = Params::new(64, 64).unwrap();
    let plan = Plan::new(&wide, [1, 1, 1]).unwrap();
    assert!(matches!(
        client.request(&plan, &[1]),
        Err(Error::WrongDegree { .. })
    ));
}
