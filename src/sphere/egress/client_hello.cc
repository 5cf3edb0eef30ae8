#include "sphere/egress/client_hello.h"

#include <cstdint>
#include <optional>

namespace sphere::egress {
namespace {

/// Takes numbers and pieces from the front; once something was missing, everything is.
class Cursor {
public:
    explicit Cursor(std::string_view bytes) : rest_(bytes) {}

    std::uint32_t number(std::size_t bytes) {
        std::uint32_t value = 0;
        for (const char c : piece(bytes)) value = value << 8 | static_cast<unsigned char>(c);
        return value;
    }
    std::string_view piece(std::size_t bytes) {
        if (bytes > rest_.size()) ok_ = false;
        if (!ok_) return {};
        const std::string_view taken = rest_.substr(0, bytes);
        rest_.remove_prefix(bytes);
        return taken;
    }
    /// A piece with its length before it.
    std::string_view sized(std::size_t length_bytes) { return piece(number(length_bytes)); }
    bool ok() const { return ok_; }
    bool empty() const { return rest_.empty(); }

private:
    std::string_view rest_;
    bool ok_ = true;
};

constexpr std::uint32_t kServerName = 0, kEncryptedHello = 0xfe0d, kOldEncryptedName = 0xffce;

/// The one host name of the extension's list.
bool read_server_name(std::string_view extension, std::string& name) {
    Cursor in(extension);
    Cursor list(in.sized(2));
    const std::uint32_t type = list.number(1);
    name = list.sized(2);
    return in.ok() && in.empty() && list.ok() && list.empty() && type == 0 && !name.empty();
}

bool read_body(std::string_view message, ClientHello& hello) {
    Cursor in(message);
    in.piece(2 + 32);  // version, random
    in.sized(1);       // session
    in.sized(2);       // ciphers
    in.sized(1);       // compression
    if (!in.ok()) return false;
    if (in.empty()) return true;
    Cursor extensions(in.sized(2));
    if (!in.ok() || !in.empty()) return false;
    bool named = false;
    while (!extensions.empty()) {
        const std::uint32_t type = extensions.number(2);
        const std::string_view extension = extensions.sized(2);
        if (!extensions.ok()) return false;
        if (type == kEncryptedHello || type == kOldEncryptedName) hello.encrypted = true;
        if (type != kServerName) continue;
        if (named || !read_server_name(extension, hello.server_name)) return false;
        named = true;
    }
    return true;
}

}  // namespace

ClientHello read_client_hello(std::string_view bytes) {
    using State = ClientHello::State;
    constexpr std::size_t kRecordHead = 5, kRecordMax = 16 * 1024;
    std::string message;
    std::optional<std::size_t> wanted;
    while (!wanted || message.size() < *wanted) {
        if (!bytes.empty() && bytes[0] != 22) return {.state = State::damaged};
        if (bytes.size() >= 2 && bytes[1] != 3) return {.state = State::damaged};
        if (bytes.size() < kRecordHead) return {};
        const auto high = static_cast<unsigned char>(bytes[3]);
        const auto low = static_cast<unsigned char>(bytes[4]);
        const std::size_t length = static_cast<std::size_t>(high) << 8 | low;
        if (length == 0 || length > kRecordMax) return {.state = State::damaged};
        const std::string_view body = bytes.substr(kRecordHead, length);
        message += body;
        if (!message.empty() && message[0] != 1) return {.state = State::damaged};
        if (message.size() >= 4) {
            Cursor head(message);
            head.piece(1);
            wanted = 4 + head.number(3);
            if (*wanted > kHelloBytesMax) return {.state = State::damaged};
        }
        if (body.size() < length) {
            // Not a whole record; a message that ends inside it is complete all the same.
            if (wanted && message.size() >= *wanted) break;
            return {};
        }
        bytes.remove_prefix(kRecordHead + length);
    }
    // Bytes of a second message behind it would be a second chance to name a host.
    if (message.size() != *wanted) return {.state = State::damaged};
    ClientHello hello{.state = State::whole};
    if (!read_body(std::string_view(message).substr(4), hello)) {
        return {.state = State::damaged};
    }
    return hello;
}

}  // namespace sphere::egress
