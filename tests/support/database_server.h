#pragma once
// A PostgreSQL and a Redis of the test program's own, when Debian's packages are there: started
// when a test first asks, on sockets in a private folder, ended with the program.

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "support/temp_dir.h"

namespace test {

/// One program that runs until it is told to stop, as another user where we are root.
class ServerProcess {
public:
    explicit ServerProcess(int stop_signal) : stop_signal_(stop_signal) {}
    ~ServerProcess() { stop(stop_signal_); }
    ServerProcess(const ServerProcess&) = delete;
    ServerProcess& operator=(const ServerProcess&) = delete;

    void start(const std::vector<std::string>& command, const std::string& log);
    /// Sends `signal` and waits for its end.
    void stop(int signal);
    pid_t pid() const { return pid_; }
    bool ended();

private:
    const int stop_signal_;
    pid_t pid_ = 0;
};

class PostgresServer {
public:
    PostgresServer();
    /// The one of this program; why there is none, else.
    static PostgresServer& instance();
    const std::string& absent() const { return absent_; }

    /// postgresql:// with the schema, or with another password.
    std::string url(const std::string& schema, const std::string& password = "geheim") const;
    const std::string& folder() const { return dir_.path(); }  ///< with "data" below it
    /// A schema that no test had.
    std::string fresh_url();
    void start();
    /// As after a loss of power: nothing is written any more.
    void kill();

private:
    TempDir dir_;
    std::string absent_, bin_;
    ServerProcess process_;
    int schemas_ = 0;
};

class RedisServer {
public:
    RedisServer();
    static RedisServer& instance();
    const std::string& absent() const { return absent_; }

    std::string url() const { return "redis+unix://" + dir_.file("redis.sock"); }
    /// The same with a prefix of keys that no test had.
    std::string fresh_url();
    void start();
    void kill();

private:
    TempDir dir_;
    std::string absent_, program_;
    ServerProcess process_;
    int prefixes_ = 0;
};

/// Ends a test for want of a server: a failure where CI promises it, else a skip that says so.
#define DG_NEED_SERVER(server)                                                \
    do {                                                                      \
        const std::string& dg_absent = (server).absent();                     \
        if (dg_absent.empty()) break;                                         \
        std::fprintf(stderr, "SKIPPED, NOT TESTED: %s\n", dg_absent.c_str()); \
        if (std::getenv("CI") != nullptr) GTEST_FAIL() << dg_absent;          \
        GTEST_SKIP() << dg_absent;                                            \
    } while (false)

}  // namespace test
