// Started by the server from a sealed memory file, with its socket as descriptor 3; or with the
// word "probe", to say what this host allows.
#include <cstring>

#include "sphere/launcher/kernel.h"
#include "sphere/launcher/probe.h"
#include "sphere/launcher/protocol.h"
#include "sphere/launcher/spawner.h"

int main(int argc, char** argv) {
    if (argc > 1 && std::strcmp(argv[1], "probe") == 0) return sphere::launcher::run_probe();
    sphere::launcher::close_from(sphere::launcher::kControlFd + 1);
    return sphere::launcher::run_spawner(sphere::launcher::kControlFd);
}
