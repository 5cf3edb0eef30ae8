// What is asked of firecracker, in which order, and what its refusals become.
#include "sphere/microvm/firecracker_api.h"

#include <gtest/gtest.h>

#include "base/json/json.h"
#include "fake_firecracker.h"
#include "sphere/microvm/vm_maker.h"
#include "support/temp_dir.h"

namespace test {
namespace {

using base::Code;
using sphere::microvm::FirecrackerApi;

sphere::microvm::Boot boot(std::string disk = "/images/root.ext4") {
    return {sphere::microvm::Monitor::firecracker,
            "/usr/bin/firecracker",
            "/images/vmlinux",
            "/run/ready",
            std::move(disk),
            false};
}
sphere::Limits limits() {
    sphere::Limits limits;
    limits.cpus = 1.5;
    limits.memory_bytes = (200ull << 20) + 1;
    return limits;
}

TEST(FirecrackerApi, AsksInTheOrderThatItNeedsAndStartsLast) {
    const TempDir folder;
    FakeFirecracker fake(folder.file("api"),
                         [](std::size_t, const Asked&) { return FakeFirecracker::no_content(); });
    ASSERT_TRUE(fake.ok());
    const FirecrackerApi api(folder.file("api"));
    const auto booted = api.boot(boot(), limits(), "/run/vsock");
    ASSERT_TRUE(booted) << booted.error().message;
    ASSERT_TRUE(api.set_paused(true));
    ASSERT_TRUE(api.set_paused(false));
    const std::vector<std::pair<std::string, std::string>> expected = {
        {"PUT /machine-config", R"({"vcpu_count":2,"mem_size_mib":201,"smt":false})"},
        {"PUT /boot-source",
         R"({"kernel_image_path":"/images/vmlinux","initrd_path":"/run/ready",)"
         R"("boot_args":"reboot=k panic=-1 pci=off quiet -- guest vsock 1024"})"},
        {"PUT /drives/root", R"({"drive_id":"root","path_on_host":"/images/root.ext4",)"
                             R"("is_root_device":false,"is_read_only":true})"},
        {"PUT /vsock", R"({"guest_cid":3,"uds_path":"/run/vsock"})"},
        {"PUT /actions", R"({"action_type":"InstanceStart"})"},
        {"PATCH /vm", R"({"state":"Paused"})"},
        {"PATCH /vm", R"({"state":"Resumed"})"}};
    const auto asked = fake.asked();
    ASSERT_EQ(asked.size(), expected.size());
    for (std::size_t i = 0; i < asked.size(); ++i) {
        EXPECT_EQ(asked[i].line, expected[i].first);
        EXPECT_EQ(base::to_text(*base::parse_json(asked[i].body)),
                  base::to_text(*base::parse_json(expected[i].second)));
    }
}

TEST(FirecrackerApi, AsksForNoDriveWithoutADiskAndNeverForANetwork) {
    const TempDir folder;
    FakeFirecracker fake(folder.file("api"),
                         [](std::size_t, const Asked&) { return FakeFirecracker::no_content(); });
    ASSERT_TRUE(FirecrackerApi(folder.file("api")).boot(boot(""), limits(), "/run/vsock"));
    for (const Asked& asked : fake.asked()) {
        EXPECT_EQ(asked.line.find("/drives"), asked.line.npos);
        EXPECT_EQ(asked.line.find("/network"), asked.line.npos);
    }
}

TEST(FirecrackerApi, StopsAtTheFirstRefusalAndTellsItsWords) {
    for (std::size_t fails = 0; fails < 5; ++fails) {
        const TempDir folder;
        FakeFirecracker fake(folder.file("api"), [&](std::size_t n, const Asked&) {
            return n == fails ? FakeFirecracker::refusal("the kernel file is not there")
                              : FakeFirecracker::no_content();
        });
        const auto booted = FirecrackerApi(folder.file("api")).boot(boot(), limits(), "/run/vsock");
        ASSERT_FALSE(booted);
        EXPECT_EQ(booted.error().code, Code::failed_precondition);
        EXPECT_NE(booted.error().message.find("the kernel file is not there"), std::string::npos);
        EXPECT_EQ(fake.asked().size(), fails + 1) << "nothing is asked after a refusal";
    }
}

TEST(FirecrackerApi, ItsEndInMidCallIsAnErrorNotAWait) {
    const TempDir folder;
    FakeFirecracker fake(folder.file("api"), [](std::size_t n, const Asked&) {
        return n < 2 ? FakeFirecracker::no_content() : std::string();
    });
    const auto booted = FirecrackerApi(folder.file("api")).boot(boot(), limits(), "/run/vsock");
    ASSERT_FALSE(booted);
    EXPECT_EQ(booted.error().code, Code::unavailable);
    EXPECT_FALSE(FirecrackerApi(folder.file("absent")).set_paused(true));
}

TEST(FirecrackerApi, AnAnswerThatIsNoHttpIsAnError) {
    const TempDir folder;
    FakeFirecracker fake(folder.file("api"),
                         [](std::size_t, const Asked&) { return std::string("\0\1\2\3\r\n", 6); });
    EXPECT_FALSE(FirecrackerApi(folder.file("api")).set_paused(true));
}

/// The other end of a vsock's socket for one connection.
std::string vsock_dialogue(const std::string& answer, bool& connected) {
    const TempDir folder;
    const std::string path = folder.file("vsock");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    const base::UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(::listen(listener.get(), 1), 0);
    std::string heard;
    std::thread host([&] {
        const base::UniqueFd client(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
        char piece[64];
        const ssize_t got = ::read(client.get(), piece, sizeof(piece));
        heard.assign(piece, got > 0 ? static_cast<std::size_t>(got) : 0);
        static_cast<void>(::send(client.get(), answer.data(), answer.size(), MSG_NOSIGNAL));
    });
    auto stream = sphere::microvm::connect_vsock(path, 1024);
    host.join();
    connected = stream.has_value();
    std::string rest;
    char byte = 0;
    while (stream && ::read(stream->get(), &byte, 1) == 1) rest += byte;
    return heard + "|" + rest;
}

TEST(ConnectVsock, SaysThePortAndTakesNoByteOfTheAgents) {
    bool connected = false;
    EXPECT_EQ(vsock_dialogue("OK 1073741824\nagent", connected), "CONNECT 1024\n|agent");
    EXPECT_TRUE(connected);
}

TEST(ConnectVsock, AMachineThatDoesNotListenYetIsNoConnection) {
    for (const std::string answer : {"", "OK", "NO\n", "OK 1"}) {
        bool connected = true;
        vsock_dialogue(answer, connected);
        EXPECT_FALSE(connected) << answer;
    }
}

}  // namespace
}  // namespace test
