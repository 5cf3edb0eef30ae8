#include "sphere/audit/audit_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <map>
#include <thread>

#include "base/json/json.h"
#include "sphere/audit/query.h"
#include "sphere/audit/segments.h"
#include "sphere/audit/verify.h"
#include "support/manual_clock.h"
#include "support/seeds.h"
#include "support/temp_dir.h"

namespace sphere::audit {
namespace {

AuditEvent event_of(std::string what) {
    AuditEvent event;
    event.event = "exec.end";
    event.tenant = "acme";
    event.sandbox = "sbx-1";
    event.what = std::move(what);
    return event;
}

std::vector<std::string> lines_of(const std::string& dir) {
    std::vector<std::string> lines;
    EXPECT_TRUE(find_events(dir, {}, [&](std::string_view line) {
        lines.emplace_back(line);
        return true;
    }));
    return lines;
}

std::unique_ptr<AuditLog> open_log(const std::string& dir, const base::Clock& clock,
                                   std::uint64_t segment_bytes = 64 << 20) {
    auto log = AuditLog::open({.dir = dir, .segment_bytes_max = segment_bytes}, clock);
    EXPECT_TRUE(log.has_value()) << log.error().message;
    return log ? std::move(*log) : nullptr;
}

TEST(AuditLog, WritesEachMemberOnceAndInOneLine) {
    const test::TempDir dir;
    const test::ManualClock clock;
    AuditEvent event = event_of("python3 -c 'print(\"\n\")'");
    event.limits = Limits{};
    event.ending = Ending{.reason = "exited", .exit_code = 3, .wall_us = 12};
    event.network = {{"example.org:443", "tcp", false, "not on the list", 0, 0}};
    event.files_changed = {"a.txt"};
    event.details = {{"key", "value"}};
    {
        const auto log = open_log(dir.file("audit"), clock);
        EXPECT_EQ(log->record(event).value(), 1u);
    }
    const auto lines = lines_of(dir.file("audit"));
    ASSERT_EQ(lines.size(), 1u);
    const auto line = base::parse_json(lines[0]);
    ASSERT_TRUE(line.has_value()) << lines[0];
    const auto& object = line->as_object();
    EXPECT_EQ(object.at("unix_ns").as_int64(), clock.unix_ns());
    EXPECT_EQ(object.at("what").as_string(), event.what);
    EXPECT_EQ(object.at("exit").at("code").as_int64(), 3);
    EXPECT_EQ(object.at("limits").at("memory_bytes").as_int64(), 512 << 20);
    EXPECT_EQ(object.at("network").at(0).at("target").as_string(), "example.org:443");
    EXPECT_EQ(object.at("files_changed").at(0).as_string(), "a.txt");
    EXPECT_FALSE(object.contains("agent"));
}

TEST(AuditLog, ALineHasABoundWhateverTheEventHolds) {
    const test::TempDir dir;
    const test::ManualClock clock;
    AuditEvent event = event_of(std::string(10 << 20, '\x01'));
    event.files_changed.assign(1000, std::string(10'000, 'f'));
    event.network.assign(1000, {std::string(10'000, 'n'), "tcp", false, "", 0, 0});
    for (int i = 0; i < 1000; ++i) event.details[std::to_string(i)] = std::string(10'000, 'd');
    {
        const auto log = open_log(dir.file("audit"), clock);
        ASSERT_TRUE(log->record(event));
    }
    const auto lines = lines_of(dir.file("audit"));
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_LT(lines[0].size(), LineReader::kLineBytesMax);
    const auto object = base::parse_json(lines[0])->as_object();
    EXPECT_EQ(object.at("files_changed_more").as_int64(), 1000 - 64);
    EXPECT_EQ(object.at("network_more").as_int64(), 1000 - 64);
}

TEST(AuditLog, GoesOnWhereItEndedAndOverSegments) {
    const test::TempDir dir;
    const test::ManualClock clock;
    for (int run = 0; run < 5; ++run) {
        const auto log = open_log(dir.file("audit"), clock, 1000);
        for (int i = 0; i < 20; ++i) {
            EXPECT_EQ(log->record(event_of("x")).value(),
                      static_cast<std::uint64_t>(run * 20 + i + 1));
        }
    }
    const auto report = verify(dir.file("audit"));
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->ok()) << report->faults[0].text;
    EXPECT_EQ(report->lines, 100u);
    EXPECT_GT(report->segments, 10u);
}

TEST(AuditLog, SecretsNeverReachTheDisk) {
    const test::TempDir dir;
    const test::ManualClock clock;
    const std::string value = "s3cr3t-value";
    {
        const auto log = open_log(dir.file("audit"), clock);
        log->set_redactor(std::make_shared<const Redactor>(*Redactor::create({{"KEY", value}})));
        AuditEvent event = event_of("curl -H " + value);
        event.tenant = event.agent = event.actor = event.reason = event.rule = value;
        event.details = {{"env", "A=" + value}};
        event.network = {{value + ".example.org:53", "dns", false, value, 0, 0}};
        event.files_changed = {value};
        event.ending = Ending{.reason = value};
        // Cut through the middle of a secret: redaction comes first.
        event.policy = std::string(kTextBytesMax - 5, 'p') + value;
        ASSERT_TRUE(log->record(event));
    }
    for (const auto& entry : std::filesystem::directory_iterator(dir.file("audit"))) {
        const std::string text = test::read_text(entry.path());
        EXPECT_EQ(text.find(value), std::string::npos);
        EXPECT_EQ(text.find(value.substr(0, 5)), std::string::npos);
    }
}

TEST(AuditLog, OneFolderHasOneWriter) {
    const test::TempDir dir;
    const test::ManualClock clock;
    const auto log = open_log(dir.file("audit"), clock);
    const auto second = AuditLog::open({.dir = dir.file("audit")}, clock);
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code, base::Code::failed_precondition);
}

TEST(AuditLog, ManyThreadsMakeOneChain) {
    const test::TempDir dir;
    const test::ManualClock clock;
    {
        const auto log = open_log(dir.file("audit"), clock, 20'000);
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&log, t] {
                for (int i = 0; i < 200; ++i) {
                    const auto event = event_of(std::to_string(t) + ":" + std::to_string(i));
                    if (i % 10 == 0) {
                        EXPECT_TRUE(log->record(event));
                    } else {
                        EXPECT_TRUE(log->append(event));
                    }
                }
            });
        }
        for (auto& thread : threads) thread.join();
    }
    const auto report = verify(dir.file("audit"));
    EXPECT_TRUE(report->ok());
    EXPECT_EQ(report->lines, 800u);
}

TEST(AuditLog, AFloodWaitsForTheDiskAndLosesNothing) {
    const test::TempDir dir;
    const test::ManualClock clock;
    {
        auto log = AuditLog::open({.dir = dir.file("audit"), .queue_bytes_max = 2000}, clock);
        for (int i = 0; i < 500; ++i) ASSERT_TRUE((*log)->append(event_of(std::string(500, 'x'))));
    }
    EXPECT_EQ(verify(dir.file("audit"))->lines, 500u);
}

TEST(AuditLog, AnUnfinishedLineIsMovedAsideAndRecorded) {
    const test::TempDir dir;
    const test::ManualClock clock;
    const std::string audit = dir.file("audit");
    {
        const auto log = open_log(audit, clock);
        ASSERT_TRUE(log->record(event_of("one")));
    }
    const std::string path = segment_path(audit, 1);
    const std::string torn = "{\"seq\":2,\"prev\":\"abc";
    test::write_text(path, test::read_text(path) + torn);
    EXPECT_TRUE(verify(audit)->ok());
    EXPECT_EQ(verify(audit)->unfinished_bytes, torn.size());
    {
        const auto log = open_log(audit, clock);
        EXPECT_EQ(log->recovery().torn_bytes, torn.size());
        EXPECT_EQ(test::read_text(log->recovery().moved_to), torn);
        EXPECT_EQ(log->durable().seq, 2u);
    }
    const auto lines = lines_of(audit);
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_NE(lines[1].find("audit.recovered"), std::string::npos);
    EXPECT_TRUE(verify(audit)->ok());
}

TEST(AuditLog, ALogWhoseDurableEndIsGoneIsNotAppendedTo) {
    const test::TempDir dir;
    const test::ManualClock clock;
    const std::string audit = dir.file("audit");
    {
        const auto log = open_log(audit, clock);
        for (int i = 0; i < 3; ++i) ASSERT_TRUE(log->record(event_of("x")));
    }
    const std::string path = segment_path(audit, 1), text = test::read_text(path);
    const auto refused = [&] {
        const auto log = AuditLog::open({.dir = audit}, clock);
        return !log && log.error().code == base::Code::data_loss;
    };
    test::write_text(path, text.substr(0, text.rfind('\n', text.size() - 2) + 1));
    EXPECT_TRUE(refused()) << "last line removed";
    test::write_text(path, text.substr(0, text.size() - 10));
    EXPECT_TRUE(refused()) << "last line cut";
    std::string altered = text;
    altered[altered.find("acme")] = 'b';
    test::write_text(path, altered);
    EXPECT_TRUE(refused()) << "a line altered";
    std::filesystem::remove(path);
    EXPECT_TRUE(refused()) << "segment removed";
    test::write_text(path, text);
    std::filesystem::remove(audit + "/head");
    EXPECT_TRUE(refused()) << "head removed";
}

TEST(AuditLog, AFullDiskRefusesEventsUntilThereIsRoom) {
    const test::TempDir dir;
    // In a child: the file size limit stands for the full disk (SIGXFSZ ignored: EFBIG).
    const pid_t child = ::fork();
    if (child == 0) {
        ::signal(SIGXFSZ, SIG_IGN);
        const test::ManualClock clock;
        auto log = AuditLog::open({.dir = dir.file("audit")}, clock);
        if (!log || !(*log)->record(event_of("one"))) ::_exit(1);
        const rlimit tight{600, RLIM_INFINITY};
        ::setrlimit(RLIMIT_FSIZE, &tight);
        bool refused = false;
        for (int i = 0; i < 100 && !refused; ++i) refused = !(*log)->record(event_of("two"));
        if (!refused) ::_exit(2);
        if ((*log)->append(event_of("three"))) ::_exit(3);
        ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
    EXPECT_TRUE(verify(dir.file("audit"))->ok()) << "no half line is left behind";
    const test::ManualClock clock;
    EXPECT_NE(open_log(dir.file("audit"), clock), nullptr);
}

/// G17: what was acknowledged before kill -9 is there afterwards, and the chain holds.
TEST(AuditLog, AnAcknowledgedEventSurvivesKillNine) {
    test::for_each_seed(30, [](base::Rng& rng) {
        const test::TempDir dir;
        const std::string audit = dir.file("audit");
        std::map<std::uint64_t, std::string> acknowledged;
        for (int life = 0; life < 2; ++life) {
            int pipe_ends[2];
            ASSERT_EQ(::pipe(pipe_ends), 0);
            const std::uint64_t segment_bytes = 500 + rng.below(5000);
            const std::uint64_t seed = rng.next();
            const pid_t child = ::fork();
            if (child == 0) {
                ::close(pipe_ends[0]);
                const test::ManualClock clock;
                base::Rng chance(seed);
                // What the kernel has outlives the process, with or without fdatasync.
                const auto durability = chance.below(4) == 0
                                            ? AuditOptions::Durability::power_loss
                                            : AuditOptions::Durability::process_loss;
                auto log = AuditLog::open(
                    {.dir = audit, .segment_bytes_max = segment_bytes, .durability = durability},
                    clock);
                while (log) {
                    const std::uint64_t value = chance.next();
                    if (chance.below(3) != 0) {
                        if (!(*log)->append(event_of(std::string(chance.below(3000), 'f')))) break;
                        continue;
                    }
                    const auto seq = (*log)->record(event_of(std::to_string(value)));
                    if (!seq) break;
                    const std::uint64_t told[2] = {*seq, value};
                    if (::write(pipe_ends[1], told, sizeof(told)) != sizeof(told)) break;
                }
                ::_exit(1);
            }
            ::close(pipe_ends[1]);
            // The point of death is a number of acknowledgements, wherever the writer is by then.
            std::uint64_t told[2];
            const std::uint64_t wanted = 1 + rng.below(20);
            bool killed = false;
            for (std::uint64_t n = 0; ::read(pipe_ends[0], told, sizeof(told)) == sizeof(told);) {
                acknowledged[told[0]] = std::to_string(told[1]);
                if (++n >= wanted && !killed) killed = ::kill(child, SIGKILL) == 0;
            }
            ::close(pipe_ends[0]);
            int status = 0;
            ASSERT_EQ(::waitpid(child, &status, 0), child);
            ASSERT_TRUE(WIFSIGNALED(status)) << "the writer failed by itself";
        }
        const test::ManualClock clock;
        ASSERT_NE(open_log(audit, clock), nullptr);
        const auto report = verify(audit);
        ASSERT_TRUE(report && report->ok()) << report->faults[0].file << report->faults[0].text;
        std::map<std::uint64_t, std::string> found;
        for (const std::string& line : lines_of(audit)) {
            const auto object = base::parse_json(line)->as_object();
            if (const auto* what = object.if_contains("what")) {
                found[object.at("seq").to_number<std::uint64_t>()] = what->as_string().c_str();
            }
        }
        for (const auto& [seq, what] : acknowledged) ASSERT_EQ(found[seq], what) << seq;
    });
}

}  // namespace
}  // namespace sphere::audit
