#include "sphere/egress/client_hello.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "support/seeds.h"

namespace sphere::egress {
namespace {

using State = ClientHello::State;

/// What OpenSSL says first to a server of this name.
std::string hello_of(const char* name) {
    SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
    SSL* const ssl = SSL_new(context);
    BIO* const out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
    if (name != nullptr) {
        SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                 const_cast<char*>(name));
    }
    SSL_connect(ssl);
    std::string bytes(65536, '\0');
    const int got = BIO_read(out, bytes.data(), static_cast<int>(bytes.size()));
    bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    SSL_free(ssl);
    SSL_CTX_free(context);
    return bytes;
}

/// The same message in records of `size` bytes.
std::string in_records(const std::string& hello, std::size_t size) {
    const std::string message = hello.substr(5);
    std::string out;
    for (std::size_t at = 0; at < message.size(); at += size) {
        const std::string piece = message.substr(at, size);
        out += std::string("\x16\x03\x01", 3);
        out += static_cast<char>(piece.size() >> 8);
        out += static_cast<char>(piece.size() & 0xff);
        out += piece;
    }
    return out;
}

TEST(ClientHello, NamesTheServerOfARealClient) {
    const ClientHello hello = read_client_hello(hello_of("api.example.org"));
    EXPECT_EQ(hello.state, State::whole);
    EXPECT_EQ(hello.server_name, "api.example.org");
    EXPECT_FALSE(hello.encrypted);
    EXPECT_EQ(read_client_hello(hello_of(nullptr)).server_name, "");
    EXPECT_EQ(read_client_hello(hello_of(nullptr)).state, State::whole);
}

TEST(ClientHello, MayBeSplitOverRecordsAndReads) {
    const std::string hello = hello_of("api.example.org");
    for (const std::size_t size : {1u, 7u, 60u, 5000u}) {
        const std::string bytes = in_records(hello, size);
        for (std::size_t length = 0; length < bytes.size(); ++length) {
            ASSERT_EQ(read_client_hello(std::string_view(bytes).substr(0, length)).state,
                      State::partial)
                << size << " " << length;
        }
        EXPECT_EQ(read_client_hello(bytes).server_name, "api.example.org") << size;
    }
}

/// Adds an extension to a hello and corrects the lengths before it.
std::string with_extension(std::string hello, const std::string& extension) {
    const auto add = [&](std::size_t at, std::size_t bytes) {
        std::size_t value = 0;
        for (std::size_t i = 0; i < bytes; ++i) {
            value = value << 8 | static_cast<unsigned char>(hello[at + i]);
        }
        value += extension.size();
        for (std::size_t i = bytes; i > 0; --i, value >>= 8) {
            hello[at + i - 1] = static_cast<char>(value & 0xff);
        }
    };
    std::size_t at = 5 + 4 + 2 + 32;
    at += 1 + static_cast<unsigned char>(hello[at]);
    at += 2 + (static_cast<std::size_t>(static_cast<unsigned char>(hello[at])) << 8 |
               static_cast<unsigned char>(hello[at + 1]));
    at += 1 + static_cast<unsigned char>(hello[at]);
    add(3, 2);
    add(6, 3);
    add(at, 2);
    return hello + extension;
}

TEST(ClientHello, AHiddenOrASecondNameIsNotPassed) {
    const std::string hello = hello_of("api.example.org");
    const ClientHello hidden =
        read_client_hello(with_extension(hello, std::string("\xfe\x0d\x00\x01\x00", 5)));
    EXPECT_EQ(hidden.state, State::whole);
    EXPECT_TRUE(hidden.encrypted);
    const std::string second("\x00\x00\x00\x06\x00\x04\x00\x00\x01x", 10);
    EXPECT_EQ(read_client_hello(with_extension(hello, second)).state, State::damaged);
    EXPECT_EQ(read_client_hello(hello + hello).state, State::whole);  // more records: not its own
    EXPECT_EQ(read_client_hello("GET / HTTP/1.1\r\n").state, State::damaged);
    EXPECT_EQ(read_client_hello(std::string("\x16\x03\x01\x00\x05\x02", 6)).state, State::damaged);
}

TEST(ClientHelloFuzz, DamagedMessagesAreReadToTheirEndAtMost) {
    const std::string hello = hello_of("api.example.org");
    test::for_each_seed(20'000, [&](base::Rng& rng) {
        std::string bytes = rng.below(2) != 0 ? in_records(hello, 1 + rng.below(600)) : hello;
        for (std::uint64_t i = 1 + rng.below(4); i > 0; --i) {
            bytes[rng.below(bytes.size())] = static_cast<char>(rng.below(256));
        }
        bytes.resize(rng.below(bytes.size() + 1));
        const std::string exact(bytes.data(), bytes.size());  // an allocation of just that size
        const ClientHello read = read_client_hello(exact);
        ASSERT_LE(read.server_name.size(), bytes.size());
    });
}

}  // namespace
}  // namespace sphere::egress
