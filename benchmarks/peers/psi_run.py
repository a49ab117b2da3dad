"""SecretFlow's ECDH-PSI (curve 25519) on two CSV files, one process a party over loopback TCP; prints one JSON object.

Run by `benchmarks/run.py` inside the peer's own virtual environment. The clock covers files in to files out, as the
peer's only entry point does; link set-up and one first run are outside.
"""

import argparse
import json
import multiprocessing as mp
import os
import socket
import statistics
import tempfile
import time


def party(rank, ports, folder, reps, pipe):
    from spu import libspu, psi

    desc = libspu.link.Desc()
    desc.recv_timeout_ms = desc.http_timeout_ms = 600_000
    for r, port in enumerate(ports):
        desc.add_party(f"p{r}", f"127.0.0.1:{port}")
    link = libspu.link.create_brpc(desc, rank)
    runs = []
    for i in range(reps + 1):
        config = psi.PsiExecuteConfig(
            protocol_conf=psi.PsiProtocolConfig(
                protocol=psi.PsiProtocol.PROTOCOL_ECDH,
                receiver_rank=0,
                bucket_size=1 << 21,
                broadcast_result=False,
                ecdh_params=psi.EcdhParams(curve=psi.EllipticCurveType.CURVE_25519, batch_size=4096),
            ),
            input_params=psi.InputParams(path=f"{folder}/r{rank}.csv", selected_keys=["id"], keys_unique=True),
            output_params=psi.OutputParams(path=f"{folder}/out{rank}_{i}.csv", disable_alignment=True),
        )
        link.barrier()
        start = time.time()
        report = psi.psi_execute(config, link)
        runs.append((start, time.time(), report.intersection_count))
    pipe.send(runs)
    link.barrier()
    link.stop_link()
    os._exit(0)  # the peer's own threads do not end


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=131072)
    parser.add_argument("--reps", type=int, default=5)
    a = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="psi_")
    half = a.n // 2
    for rank, others in ((0, range(a.n, a.n + a.n - half)), (1, range(3 * a.n, 3 * a.n + a.n - half))):
        with open(os.path.join(folder, f"r{rank}.csv"), "w") as file:
            file.write("id\n" + "".join(f"{i * 2654435761 % 2**40:016x}\n" for i in [*range(half), *others]))
    sockets, ports = [socket.socket() for _ in range(2)], []
    for s in sockets:
        s.bind(("127.0.0.1", 0))
        ports.append(s.getsockname()[1])
    for s in sockets:
        s.close()
    context, pipes, processes = mp.get_context("spawn"), [], []
    for r in range(2):
        mine, theirs = context.Pipe(False)
        processes.append(context.Process(target=party, args=(r, ports, folder, a.reps, theirs)))
        processes[-1].start()
        pipes.append(mine)
    runs = [p.recv() for p in pipes]
    for p in processes:
        p.join()
    walls = [max(r[i][1] for r in runs) - min(r[i][0] for r in runs) for i in range(1, a.reps + 1)]
    print(
        json.dumps(
            {
                "peer": "spu.psi ecdh 25519",
                "op": "psi",
                "n": a.n,
                "seconds": statistics.median(walls),
                "runs": walls,
                "intersection": runs[0][-1][2],
            }
        )
    )


if __name__ == "__main__":
    main()
