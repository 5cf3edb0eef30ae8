#include "sphere/net/http_head.h"

#include <algorithm>
#include <charconv>

namespace sphere::net {
namespace {

using base::Code;
using base::fail;
using base::Result;
using base::http::equal_no_case;
using base::http::Headers;

constexpr std::size_t kExtraBytesMax = 16 * 1024;

bool token_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_token(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, token_char);
}

/// Visible bytes, and what is over ASCII; no space, no control.
bool is_visible(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte > 0x20 && byte != 0x7f;
    });
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

std::unexpected<base::Error> bad(std::string_view what) {
    return fail(Code::invalid_argument, "the HTTP message has {}", what);
}

/// Lines that end with CR LF, each once, up to the empty one.
class Lines {
public:
    explicit Lines(std::string_view head) : rest_(head) {}
    std::string_view next() {
        const std::size_t end = rest_.find("\r\n");
        const std::string_view line = rest_.substr(0, end);
        rest_.remove_prefix(end + 2);
        return line;
    }

private:
    std::string_view rest_;
};

Result<Headers> read_headers(Lines& lines) {
    Headers headers;
    for (std::string_view line = lines.next(); !line.empty(); line = lines.next()) {
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
            return bad("a header line without a plain name");
        }
        const std::string_view value = trimmed(line.substr(colon + 1));
        const bool plain = std::ranges::all_of(value, [](char c) {
            const auto byte = static_cast<unsigned char>(c);
            return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
        });
        if (!plain) return bad("a control character in a header");
        headers.add(std::string(line.substr(0, colon)), std::string(value));
    }
    return headers;
}

/// Every field that says where the body ends, together; two that could disagree are refused.
Result<Framing> read_framing(const Headers& headers, int minor) {
    Framing framing;
    bool has_length = false;
    for (const auto& [name, value] : headers.fields()) {
        if (equal_no_case(name, "Content-Length")) {
            std::uint64_t length = 0;
            const char* const end = value.data() + value.size();
            const auto [stop, error] = std::from_chars(value.data(), end, length);
            const bool digits = !value.empty() && value[0] >= '0' && value[0] <= '9';
            if (has_length || !digits || error != std::errc() || stop != end) {
                return bad("no single, plain Content-Length");
            }
            has_length = true;
            framing = {Framing::Kind::length, length};
        }
    }
    bool chunked = false;
    for (const auto& [name, value] : headers.fields()) {
        if (!equal_no_case(name, "Transfer-Encoding")) continue;
        if (chunked || has_length || minor == 0 || !equal_no_case(value, "chunked")) {
            return bad("a Transfer-Encoding that is not just chunked, or a length beside it");
        }
        chunked = true;
        framing = {Framing::Kind::chunked, 0};
    }
    return framing;
}

bool keeps_alive(const Headers& headers, int minor) {
    bool close = false, keep = false;
    for (const auto& [name, value] : headers.fields()) {
        if (!equal_no_case(name, "Connection") && !equal_no_case(name, "Proxy-Connection")) {
            continue;
        }
        close = close || base::http::list_has_token(value, "close");
        keep = keep || base::http::list_has_token(value, "keep-alive");
    }
    return !close && (minor >= 1 || keep);
}

bool read_version(std::string_view text, int& minor) {
    if (text != "HTTP/1.1" && text != "HTTP/1.0") return false;
    minor = text.back() - '0';
    return true;
}

/// The length of the head with its empty line, 0 while that is missing. A line feed alone ends
/// nothing: some take it for a line's end.
Result<std::size_t> head_length(std::string_view bytes) {
    const std::size_t end = bytes.find("\r\n\r\n");
    if (end == std::string_view::npos ? bytes.size() > kHeadBytesMax : end > kHeadBytesMax) {
        return fail(Code::payload_too_large, "the HTTP head is over {} bytes", kHeadBytesMax);
    }
    const std::string_view seen = bytes.substr(0, end);
    for (std::size_t at = seen.find('\n'); at != std::string_view::npos;
         at = seen.find('\n', at + 1)) {
        if (at == 0 || seen[at - 1] != '\r') return bad("a line that ends without CR");
    }
    for (std::size_t at = seen.find('\r'); at != std::string_view::npos;
         at = seen.find('\r', at + 1)) {
        if (at + 1 < seen.size() && seen[at + 1] != '\n') return bad("a lone CR");
    }
    return end == std::string_view::npos ? 0 : end + 4;
}

}  // namespace

Result<std::optional<RequestHead>> parse_request_head(std::string_view bytes, std::size_t& used) {
    used = DG_TRY(head_length(bytes));
    if (used == 0) return std::optional<RequestHead>();
    Lines lines(bytes.substr(0, used));
    const std::string_view line = lines.next();
    const std::size_t first = line.find(' '), last = line.rfind(' ');
    RequestHead head;
    if (first == std::string_view::npos || first == last || !is_token(line.substr(0, first)) ||
        !is_visible(line.substr(first + 1, last - first - 1)) ||
        !read_version(line.substr(last + 1), head.minor)) {
        return bad("no request line of HTTP/1.1");
    }
    head.method = line.substr(0, first);
    head.target = line.substr(first + 1, last - first - 1);
    head.headers = DG_TRY(read_headers(lines));
    head.framing = DG_TRY(read_framing(head.headers, head.minor));
    head.keep_alive = keeps_alive(head.headers, head.minor);
    return std::optional(std::move(head));
}

Result<std::optional<ResponseHead>> parse_response_head(std::string_view bytes,
                                                        std::string_view method,
                                                        std::size_t& used) {
    used = DG_TRY(head_length(bytes));
    if (used == 0) return std::optional<ResponseHead>();
    Lines lines(bytes.substr(0, used));
    const std::string_view line = lines.next();
    ResponseHead head;
    const bool sized = line.size() >= 12 && line[8] == ' ';
    if (!sized || !read_version(line.substr(0, 8), head.minor) ||
        (line.size() > 12 && line[12] != ' ') ||
        !std::ranges::all_of(line.substr(9, 3), [](char c) { return c >= '0' && c <= '9'; })) {
        return bad("no status line of HTTP/1.1");
    }
    head.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
    if (line.size() > 13) head.reason = line.substr(13);
    head.headers = DG_TRY(read_headers(lines));
    head.framing = DG_TRY(read_framing(head.headers, head.minor));
    head.keep_alive = keeps_alive(head.headers, head.minor);
    if (head.status < 200 || head.status == 204 || head.status == 304 || method == "HEAD") {
        head.framing = {};
    } else if (head.framing.kind == Framing::Kind::none) {
        head.framing.kind = Framing::Kind::until_close;
        head.keep_alive = false;
    }
    return std::optional(std::move(head));
}

void append_headers(std::string& out, const Headers& headers) {
    for (const auto& [name, value] : headers.fields()) {
        out += name;
        out += ": ";
        out += value;
        out += "\r\n";
    }
    out += "\r\n";
}

BodyReader::BodyReader(const Framing& framing) : framing_(framing), left_(framing.length) {
    const bool empty = framing.kind == Framing::Kind::none ||
                       (framing.kind == Framing::Kind::length && framing.length == 0);
    if (empty) step_ = Step::done;
    if (framing.kind == Framing::Kind::chunked) step_ = Step::size;
}

Result<std::size_t> BodyReader::take(std::string_view bytes, std::string* payload) {
    std::size_t at = 0;
    while (at < bytes.size() && step_ != Step::done) {
        if (step_ != Step::data && step_ != Step::chunk) {
            if (!step_chunked(bytes[at++])) return bad("a damaged chunk");
            continue;
        }
        std::size_t piece = bytes.size() - at;
        if (framing_.kind != Framing::Kind::until_close) {
            piece = static_cast<std::size_t>(std::min<std::uint64_t>(piece, left_));
            left_ -= piece;
        }
        if (payload != nullptr) payload->append(bytes.substr(at, piece));
        at += piece;
        if (framing_.kind != Framing::Kind::until_close && left_ == 0) {
            step_ = step_ == Step::chunk ? Step::chunk_return : Step::done;
        }
    }
    return at;
}

bool BodyReader::step_chunked(char c) {
    const auto go = [&](Step step) {
        step_ = step;
        return true;
    };
    const auto expect = [&](char wanted, Step step) { return c == wanted && go(step); };
    switch (step_) {
        case Step::size: {
            const char low = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
            const bool digit = low >= '0' && low <= '9';
            if (digit || (low >= 'a' && low <= 'f')) {
                left_ = left_ << 4 | static_cast<std::uint64_t>(digit ? low - '0' : low - 'a' + 10);
                return ++digits_ <= 15;
            }
            if (digits_ == 0) return false;
            if (c == ';') return go(Step::extension);
            return expect('\r', Step::size_newline);
        }
        case Step::extension:
            if (c == '\r') return go(Step::size_newline);
            return c != '\n' && c != '\0' && ++extra_ <= kExtraBytesMax;
        case Step::size_newline:
            digits_ = 0;
            return expect('\n', left_ == 0 ? Step::trailer_start : Step::chunk);
        case Step::chunk_return:
            return expect('\r', Step::chunk_newline);
        case Step::chunk_newline:
            return expect('\n', Step::size);
        case Step::trailer_start:
            if (c == '\r') return go(Step::last_newline);
            return c != '\n' && go(Step::trailer);
        case Step::trailer:
            if (c == '\r') return go(Step::trailer_newline);
            return c != '\n' && c != '\0' && ++extra_ <= kExtraBytesMax;
        case Step::trailer_newline:
            return expect('\n', Step::trailer_start);
        case Step::last_newline:
            return expect('\n', Step::done);
        case Step::data:
        case Step::chunk:
        case Step::done:
            break;
    }
    return false;
}

}  // namespace sphere::net
