#pragma once
// A TLS server on loopback with a certificate of its own: answers each request with what it was
// sent. For tests of what talks TLS to somebody.

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "support/temp_dir.h"

namespace test {

class TlsServer {
public:
    explicit TlsServer(const std::string& host);
    ~TlsServer();
    std::uint16_t port() const { return port_; }
    std::string ca_file() const { return folder_.file("ca.pem"); }
    int handshakes() const { return handshakes_; }

private:
    void serve();
    TempDir folder_;
    void* context_ = nullptr;
    int listener_ = -1;
    std::uint16_t port_ = 0;
    std::atomic<int> handshakes_ = 0;
    std::thread thread_;
};

}  // namespace test
