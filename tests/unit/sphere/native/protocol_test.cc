#include "sphere/launcher/protocol.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sphere/launcher/channel.h"
#include "support/seeds.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace sphere::launcher {
namespace {

std::vector<std::byte> packet_of(const Start& start, const std::string& words) {
    std::vector<std::byte> packet(sizeof(start) + words.size());
    Start sent = start;
    sent.words_bytes = static_cast<std::uint32_t>(words.size());
    sent.head.bytes = static_cast<std::uint32_t>(packet.size());
    std::memcpy(packet.data(), &sent, sizeof(sent));
    std::memcpy(packet.data() + sizeof(sent), words.data(), words.size());
    return packet;
}

std::string zero_ended(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) text += word + '\0';
    return text;
}

TEST(Protocol, ReadsTheCommandThatWasWritten) {
    auto start = make_message<Start>();
    start.argc = 2;
    start.envc = 1;
    auto packet = packet_of(start, zero_ended({"/workspace", "echo", "", "A=b"}));
    Start read;
    static Command command;
    ASSERT_TRUE(read_message(packet, read));
    ASSERT_TRUE(read_command(packet, read, command));
    EXPECT_STREQ(command.directory, "/workspace");
    EXPECT_STREQ(command.argv[0], "echo");
    EXPECT_STREQ(command.argv[1], "");
    EXPECT_EQ(command.argv[2], nullptr);
    EXPECT_STREQ(command.envp[0], "A=b");
    EXPECT_EQ(command.envp[1], nullptr);
}

TEST(Protocol, RefusesAnotherVersionTypeOrSize) {
    const auto ready = make_message<Ready>();
    const auto refused = [&](auto change) {
        Ready changed = ready;
        change(changed);
        Ready out;
        return !read_message(std::as_bytes(std::span(&changed, 1)), out);
    };
    EXPECT_FALSE(refused([](Ready&) {}));
    EXPECT_TRUE(refused([](Ready& m) { ++m.head.version; }));
    EXPECT_TRUE(refused([](Ready& m) { ++m.head.magic; }));
    EXPECT_TRUE(refused([](Ready& m) { ++m.head.bytes; }));
    EXPECT_TRUE(refused([](Ready& m) { m.head.type = Type::started; }));
    EXPECT_TRUE(refused([](Ready& m) { m.head.descriptors = kDescriptorsMax + 1; }));
    Ready out;
    EXPECT_FALSE(read_message(std::as_bytes(std::span(&ready, 1)).first(sizeof(Head) - 1), out));
}

TEST(Protocol, CountsThatDoNotAgreeAreRefused) {
    auto start = make_message<Start>();
    static Command command;
    const auto reads = [&](std::uint32_t argc, std::uint32_t envc, const std::string& words) {
        start.argc = argc;
        start.envc = envc;
        auto packet = packet_of(start, words);
        Start read;
        return read_message(packet, read) && read_command(packet, read, command);
    };
    const std::string words = zero_ended({"/", "a", "B=c"});
    EXPECT_TRUE(reads(1, 1, words));
    EXPECT_FALSE(reads(0, 2, words));
    EXPECT_FALSE(reads(1, 0, words));  // a word too many
    EXPECT_FALSE(reads(2, 1, words));  // one too few
    EXPECT_FALSE(reads(kWordsMax + 1, 0, words));
    EXPECT_FALSE(reads(1, 1, words + "x"));  // no end
    EXPECT_FALSE(reads(1, 1, ""));
}

TEST(ProtocolFuzz, NoDamageReadsOutsideThePacket) {
    test::for_each_seed(3000, [](base::Rng& rng) {
        auto start = make_message<Start>();
        start.argc = static_cast<std::uint32_t>(1 + rng.below(4));
        start.envc = static_cast<std::uint32_t>(rng.below(4));
        std::vector<std::string> words(1 + start.argc + start.envc);
        for (std::string& word : words) word.assign(rng.below(9), 'x');
        auto packet = packet_of(start, zero_ended(words));
        for (std::uint64_t hits = 1 + rng.below(6); hits > 0; --hits) {
            packet[rng.below(packet.size())] = static_cast<std::byte>(rng.below(256));
        }
        if (rng.below(4) == 0) packet.resize(rng.below(packet.size() + 1));
        // An exact allocation: a byte read behind it is seen by the address sanitizer.
        std::vector<std::byte> exact(packet.begin(), packet.end());
        Start read;
        static Command command;
        if (!read_message(std::span<const std::byte>(exact), read) ||
            !read_command(exact, read, command)) {
            return;
        }
        const auto inside = [&](const char* word) {
            const auto* at = reinterpret_cast<const std::byte*>(word);
            const auto left = static_cast<std::size_t>(exact.data() + exact.size() - at);
            return at >= exact.data() + sizeof(Start) && at < exact.data() + exact.size() &&
                   ::strnlen(word, left) < left;
        };
        EXPECT_TRUE(inside(command.directory));
        for (std::uint32_t i = 0; i < read.argc; ++i) EXPECT_TRUE(inside(command.argv[i]));
        for (std::uint32_t i = 0; i < read.envc; ++i) EXPECT_TRUE(inside(command.envp[i]));
    });
}

class ChannelTest : public ::testing::Test {
protected:
    void SetUp() override {
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    }
    void TearDown() override {
        ::close(ends[0]);
        ::close(ends[1]);
    }
    int ends[2];
    std::vector<std::byte> buffer = std::vector<std::byte>(kMessageBytesMax);
};

TEST_F(ChannelTest, DescriptorsArriveInOrderAndCloseOnExec) {
    const int first = ::open("/dev/null", O_RDONLY), second = ::open("/dev/zero", O_RDONLY);
    const int fds[2] = {first, second};
    ASSERT_TRUE(send_message(ends[0], make_message<Create>(), fds));
    Packet packet;
    ASSERT_EQ(receive(ends[1], buffer, packet), Received::packet);
    ASSERT_EQ(packet.fd_count, 2u);
    for (const int sent : fds) {
        const int got = packet.take();
        EXPECT_TRUE((::fcntl(got, F_GETFD) & FD_CLOEXEC) != 0);
        char name[2][64] = {};
        ASSERT_GT(::readlink(("/proc/self/fd/" + std::to_string(sent)).c_str(), name[0], 63), 0);
        ASSERT_GT(::readlink(("/proc/self/fd/" + std::to_string(got)).c_str(), name[1], 63), 0);
        EXPECT_STREQ(name[0], name[1]);
        ::close(got);
        ::close(sent);
    }
    EXPECT_EQ(packet.take(), -1);
}

TEST_F(ChannelTest, UnsoundPacketsLeaveNoDescriptorBehind) {
    const int fd = ::open("/dev/null", O_RDONLY);
    const int fds[1] = {fd};
    auto message = make_message<Ready>();
    message.head.descriptors = 2;  // a lie
    ASSERT_TRUE(send_packet(ends[0], std::as_bytes(std::span(&message, 1)), fds));
    Packet packet;
    EXPECT_EQ(receive(ends[1], buffer, packet), Received::unsound);
    const int next = ::open("/dev/null", O_RDONLY);
    EXPECT_EQ(next, fd + 1);  // nothing took its place
    ::close(next);
    ::close(fd);
    EXPECT_EQ(receive(ends[1], buffer, packet), Received::nothing);
    ::shutdown(ends[0], SHUT_RDWR);
    EXPECT_EQ(receive(ends[1], buffer, packet), Received::closed);
}

}  // namespace
}  // namespace sphere::launcher
