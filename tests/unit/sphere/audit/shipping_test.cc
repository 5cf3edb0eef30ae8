#include "sphere/audit/shipping.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <mutex>

#include "base/files/unique_fd.h"
#include "sphere/audit/query.h"
#include "support/http_stub.h"
#include "support/manual_clock.h"
#include "support/temp_dir.h"

namespace sphere::audit {
namespace {

AuditEvent event_of(std::string what) {
    AuditEvent event;
    event.event = "exec";
    event.what = std::move(what);
    return event;
}

/// Fails as often as told, then takes.
class ScriptedShipper final : public Shipper {
public:
    explicit ScriptedShipper(int failures) : failures_(failures) {}
    std::string_view name() const override { return "scripted"; }
    base::Result<void> ship(std::span<const ShippedLine> lines) override {
        const std::scoped_lock lock(mutex_);
        for (const auto& line : lines) seen_.push_back(line.seq);
        changed_.notify_all();
        if (failures_-- > 0) return base::fail(base::Code::unavailable, "not now");
        taken_ = lines.back().seq;
        return {};
    }
    void wait_for(std::uint64_t seq) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return taken_ >= seq; });
    }
    std::vector<std::uint64_t> seen() {
        const std::scoped_lock lock(mutex_);
        return seen_;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int failures_;
    std::uint64_t taken_ = 0;
    std::vector<std::uint64_t> seen_;
};

class ShippingTest : public testing::Test {
protected:
    ShippingTest()
        : log_(std::move(
              *AuditLog::open({.dir = dir_.file("audit"), .segment_bytes_max = 2000}, clock_))) {}
    void record(int n) {
        for (int i = 0; i < n; ++i) EXPECT_TRUE(log_->record(event_of("x")));
    }
    std::unique_ptr<Shipping> start(std::unique_ptr<Shipper> shipper) {
        auto shipping = Shipping::start(*log_, std::move(shipper),
                                        {.batch_lines_max = 3,
                                         .retry_first = std::chrono::microseconds(10),
                                         .retry_max = std::chrono::milliseconds(1)});
        EXPECT_TRUE(shipping.has_value());
        return std::move(*shipping);
    }
    /// Until everything durable is shipped.
    void drain(const Shipping& shipping) {
        while (shipping.state().lag != 0) std::this_thread::yield();
    }
    std::string all_lines() {
        std::string text;
        EXPECT_TRUE(find_events(dir_.file("audit"), {}, [&](std::string_view line) {
            text += std::string(line) + "\n";
            return true;
        }));
        return text;
    }

    test::TempDir dir_;
    test::ManualClock clock_;
    std::unique_ptr<AuditLog> log_;
};

TEST_F(ShippingTest, EveryEventArrivesInOrderAlsoAfterFailures) {
    auto owned = std::make_unique<ScriptedShipper>(5);
    ScriptedShipper& shipper = *owned;
    record(10);
    const auto shipping = start(std::move(owned));
    shipper.wait_for(10);
    record(15);
    shipper.wait_for(25);
    std::vector<std::uint64_t> seen = shipper.seen();
    EXPECT_GT(seen.size(), 25u) << "the failed batch came again";
    for (std::size_t i = 1; i < seen.size(); ++i) EXPECT_LE(seen[i], seen[i - 1] + 1) << "a gap";
    drain(*shipping);
    EXPECT_EQ(shipping->state().failures, 0u);
}

TEST_F(ShippingTest, TheNextStartGoesOnBehindWhatWasAcknowledged) {
    record(7);
    {
        const auto shipping = start(std::make_unique<ScriptedShipper>(0));
        drain(*shipping);
    }
    record(4);
    auto owned = std::make_unique<ScriptedShipper>(0);
    ScriptedShipper& shipper = *owned;
    const auto shipping = start(std::move(owned));
    shipper.wait_for(11);
    EXPECT_GE(shipper.seen().front(), 7u) << "at most the last batch is repeated";
}

TEST_F(ShippingTest, ADeadReceiverDelaysNoEventAndSaysSo) {
    const auto shipping = start(std::make_unique<ScriptedShipper>(INT32_MAX));
    record(30);
    while (shipping->state().failures < 2) std::this_thread::yield();
    EXPECT_EQ(shipping->state().lag, 30u);
    EXPECT_FALSE(shipping->state().last_error.empty());
}

TEST_F(ShippingTest, ADamagedPositionIsRefused) {
    test::write_text(dir_.file("audit/shipped-scripted"), "999\n");
    const auto shipping = Shipping::start(*log_, std::make_unique<ScriptedShipper>(0));
    ASSERT_FALSE(shipping.has_value());
    EXPECT_EQ(shipping.error().code, base::Code::data_loss);
}

TEST_F(ShippingTest, AFileGetsTheLinesAsTheyAre) {
    record(9);
    const auto shipping = start(make_file_shipper("copy", dir_.file("copy.jsonl")));
    drain(*shipping);
    EXPECT_EQ(test::read_text(dir_.file("copy.jsonl")), all_lines());
}

TEST_F(ShippingTest, AnHttpEndpointGetsThemAgainUntilItTakesThem) {
    std::atomic<int> left{3};
    test::HttpStub stub([&](const test::StubRequest&) {
        test::StubResponse response;
        response.status = left-- > 0 ? 503 : 204;
        return response;
    });
    record(9);
    const auto shipping = start(make_http_shipper(
        "siem", {.url = stub.url() + "/in", .headers = {{"Authorization", "Bearer t"}}}));
    drain(*shipping);
    std::string taken;
    const auto requests = stub.requests();
    for (std::size_t i = 3; i < requests.size(); ++i) taken += requests[i].body;
    EXPECT_EQ(taken, all_lines());
    EXPECT_EQ(requests[0].headers.at("content-type"), "application/x-ndjson");
    EXPECT_EQ(requests[0].headers.at("authorization"), "Bearer t");
}

TEST_F(ShippingTest, SyslogGetsADatagramForEachLineAndShortensWhatIsTooLong) {
    const std::string path = dir_.file("log.sock");
    const base::UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)),
              0);
    record(1);
    AuditEvent large = event_of("large");  // over any socket's buffer
    for (int i = 0; i < 64; ++i) large.details[std::to_string(i)] = std::string(4000, '\x01');
    ASSERT_TRUE(log_->record(large));
    const auto shipping = start(make_syslog_shipper("syslog", path));
    std::string buffer(1 << 20, '\0');
    std::string first = buffer, second = buffer;
    first.resize(static_cast<std::size_t>(::recv(socket.get(), first.data(), first.size(), 0)));
    second.resize(static_cast<std::size_t>(::recv(socket.get(), second.data(), second.size(), 0)));
    const std::string lines = all_lines();
    EXPECT_TRUE(first.starts_with("<85>"));
    EXPECT_TRUE(first.ends_with(": " + lines.substr(0, lines.find('\n'))));
    EXPECT_NE(second.find("{\"seq\":2,"), std::string::npos);
    EXPECT_TRUE(second.ends_with(lines.substr(lines.size() - 60, 59))) << "the hash stays";
}

}  // namespace
}  // namespace sphere::audit
