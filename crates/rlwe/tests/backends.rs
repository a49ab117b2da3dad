//! Each backend works with itself and with each other: one encrypts and decrypts, the other multiplies.

use argot_rlwe::{linear, products, Backend, Params, Plan};

#[test]
fn backends_work_with_each_other() {
    let available: Vec<Backend> = Backend::ALL
        .into_iter()
        .filter(|b| b.is_available())
        .collect();
    let params = Params::new(64, 64).unwrap();
    let wide = products::Params::new(64, 64, 64).unwrap();
    let numbers = |n: u64| {
        (0..n)
            .map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .collect()
    };
    let (a, b): (Vec<u64>, Vec<u64>) = (numbers(600), numbers(900));
    let plan = Plan::new(&params, [20, 30, 30]).unwrap();
    for &one in &available {
        for &other in &available {
            assert!(one.choose());
            let client = linear::Client::new(&params).unwrap();
            let request = client.request(&plan, &a).unwrap();
            assert!(other.choose());
            let server = linear::Server::new(&params, &client.public_key().unwrap()).unwrap();
            let (answer, theirs) = server.answer(&plan, &request, &b).unwrap();
            assert!(one.choose());
            let ours = client.finish(&plan, &answer).unwrap();
            for i in 0..20 {
                for j in 0..30 {
                    let want = (0..30).fold(0u64, |sum, k| {
                        sum.wrapping_add(a[i * 30 + k].wrapping_mul(b[k * 30 + j]))
                    });
                    assert_eq!(ours[i * 30 + j].wrapping_add(theirs[i * 30 + j]), want);
                }
            }

            let client = products::Client::new(&wide).unwrap();
            let request = client.request(&[&a]).unwrap();
            assert!(other.choose());
            let server = products::Server::new(&wide, &client.public_key().unwrap()).unwrap();
            let (answer, theirs) = server.answer(&request, &[&b[..600]]).unwrap();
            assert!(one.choose());
            let ours = client.finish(600, &answer).unwrap();
            for i in 0..600 {
                assert_eq!(ours[i].wrapping_add(theirs[i]), a[i].wrapping_mul(b[i]));
            }
        }
    }
}
