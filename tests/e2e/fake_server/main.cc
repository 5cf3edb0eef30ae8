// The gateway over a scripted backend, as a program: for developing clients without a model.
// Usage: fake_server [port] [token_pause_us] [io_threads]; prints its URL, serves until a signal.

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "base/http/server.h"
#include "base/log/log.h"
#include "base/metrics/metrics.h"
#include "gate/gate.h"
#include "support/scripted_backend.h"

int main(int argc, char** argv) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);

    const base::SystemClock clock;
    test::ScriptedBackend backend(clock,
                                  std::chrono::microseconds(argc > 2 ? std::atol(argv[2]) : 0));
    base::metrics::Registry metrics;
    gate::GatewayOptions options;
    options.version = "0.1.0";
    gate::Gateway gateway({backend, clock, base::log::Logger::none(), metrics, nullptr}, options);

    base::http::ServerOptions server_options;
    server_options.port = static_cast<std::uint16_t>(argc > 1 ? std::atol(argv[1]) : 0);
    server_options.threads = static_cast<std::uint32_t>(argc > 3 ? std::atol(argv[3]) : 1);
    auto server = base::http::Server::listen(server_options, clock);
    if (!server) {
        std::fprintf(stderr, "fake_server: %s\n", server.error().message.c_str());
        return 1;
    }
    gateway.register_routes(**server);
    (*server)->start();
    std::printf("%s\n", (*server)->url().c_str());
    std::fflush(stdout);
    int caught = 0;
    sigwait(&signals, &caught);
    gateway.begin_drain();
    (*server)->stop(std::chrono::milliseconds(5000));
    gateway.stop();
    return 0;
}
