#pragma once
// The agent: process 1 of a container or a virtual machine, doing there what an init does in a box.

namespace sphere::launcher {

/// Serves the server until its end of the stream is closed. The arguments say where the stream is:
///   stdio         descriptors 0 and 1 (a container)
///   tty PATH      a serial line
///   vsock PORT    the first connection to a port of the virtual machine's socket
int run_guest(int argc, char** argv);

}  // namespace sphere::launcher
