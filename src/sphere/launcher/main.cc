// Started by the server from a sealed memory file, with its socket as descriptor 3; or with the
// word "probe", to say what this host allows; with "stage", to run another runtime where it leaves
// nothing behind; with "guest", as process 1 of a container or a virtual machine.
#include <csignal>
#include <cstring>

#include "sphere/launcher/guest.h"
#include "sphere/launcher/kernel.h"
#include "sphere/launcher/probe.h"
#include "sphere/launcher/protocol.h"
#include "sphere/launcher/spawner.h"
#include "sphere/launcher/stage.h"

namespace {

/// What a server ignores would stay ignored in every command.
void default_signals() {
    struct sigaction standard {};
    standard.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; ++number) ::sigaction(number, &standard, nullptr);
}

}  // namespace

int main(int argc, char** argv) {
    default_signals();
    if (argc > 1 && std::strcmp(argv[1], "probe") == 0) return sphere::launcher::run_probe();
    if (argc > 1 && std::strcmp(argv[1], "guest") == 0) {
        return sphere::launcher::run_guest(argc - 2, argv + 2);
    }
    if (argc > 1 && std::strcmp(argv[1], "stage") == 0) {
        return sphere::launcher::run_stage(argc - 2, argv + 2);
    }
    sphere::launcher::close_from(sphere::launcher::kControlFd + 1);
    return sphere::launcher::run_spawner(sphere::launcher::kControlFd);
}
