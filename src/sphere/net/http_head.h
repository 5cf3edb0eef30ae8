#pragma once
// The head of an HTTP/1.x message, read so strictly that nobody behind us reads it otherwise: what
// two parsers could take differently is refused, not repaired. No sockets.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/core/result.h"
#include "base/http/message.h"

namespace sphere::net {

inline constexpr std::size_t kHeadBytesMax = 64 * 1024;

/// How the end of a message's body is found.
struct Framing {
    enum class Kind : std::uint8_t { none, length, chunked, until_close } kind = Kind::none;
    std::uint64_t length = 0;
};

struct RequestHead {
    std::string method, target;  ///< as sent
    int minor = 1;               ///< HTTP/1.minor
    base::http::Headers headers;
    Framing framing;
    bool keep_alive = true;
};

struct ResponseHead {
    int status = 0, minor = 1;
    std::string reason;
    base::http::Headers headers;
    Framing framing;
    bool keep_alive = true;
};

/// The head at the start of `bytes` and, in `used`, how long it is; nothing while its end is
/// missing. Errors: invalid_argument; payload_too_large over kHeadBytesMax.
base::Result<std::optional<RequestHead>> parse_request_head(std::string_view bytes,
                                                            std::size_t& used);
/// `method` of the request it answers decides whether a body follows.
base::Result<std::optional<ResponseHead>> parse_response_head(std::string_view bytes,
                                                              std::string_view method,
                                                              std::size_t& used);

/// Appends "Name: value" lines and the empty line after them.
void append_headers(std::string& out, const base::http::Headers& headers);

/// Follows a body of known framing through bytes that come in pieces. Not thread-safe.
class BodyReader {
public:
    explicit BodyReader(const Framing& framing);

    /// Takes of `bytes` what belongs to the body, framing included, and returns how much that was;
    /// appends the payload in it to `payload` when given. Errors: invalid_argument.
    base::Result<std::size_t> take(std::string_view bytes, std::string* payload);
    bool done() const { return step_ == Step::done; }
    /// Only the connection's end ends it.
    bool until_close() const { return framing_.kind == Framing::Kind::until_close; }

private:
    enum class Step : std::uint8_t {
        data,  // of a length, or until the end
        size,
        extension,
        size_newline,
        chunk,
        chunk_return,
        chunk_newline,
        trailer_start,
        trailer,
        trailer_newline,
        last_newline,
        done
    };
    bool step_chunked(char c);

    Framing framing_;
    Step step_ = Step::data;
    std::uint64_t left_ = 0;    ///< of the length, or of the chunk
    std::uint32_t digits_ = 0;  ///< of a chunk's size
    std::size_t extra_ = 0;     ///< bytes of extensions and trailers, which have a limit
};

}  // namespace sphere::net
