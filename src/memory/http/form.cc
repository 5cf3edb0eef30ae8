#include "memory/http/form.h"

#include <algorithm>

#include "base/http/message.h"

namespace memory {
namespace {

using base::Code;
using base::fail;
using base::Result;

constexpr std::size_t kPartsMax = 64;

/// name="value" or name=value in a header's parameters; "" without.
std::string parameter(std::string_view header, std::string_view name) {
    for (std::size_t at = header.find(';'); at != std::string_view::npos;) {
        ++at;
        while (at < header.size() && header[at] == ' ') ++at;
        const std::size_t equals = header.find('=', at);
        if (equals == std::string_view::npos) return "";
        const bool is_it = base::http::equal_no_case(header.substr(at, equals - at), name);
        std::string value;
        at = equals + 1;
        if (at < header.size() && header[at] == '"') {
            for (++at; at < header.size() && header[at] != '"'; ++at) {
                if (header[at] == '\\' && at + 1 < header.size()) ++at;
                value += header[at];
            }
            at = header.find(';', at);
        } else {
            const std::size_t end = header.find(';', at);
            value = header.substr(at, end - at);
            at = end;
        }
        if (is_it) return value;
    }
    return "";
}

FormPart read_head(std::string_view head) {
    FormPart part;
    while (!head.empty()) {
        const std::string_view line = head.substr(0, head.find("\r\n"));
        head.remove_prefix(std::min(head.size(), line.size() + 2));
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos) continue;
        std::string_view value = line.substr(colon + 1);
        while (value.starts_with(' ')) value.remove_prefix(1);
        if (base::http::equal_no_case(line.substr(0, colon), "Content-Disposition")) {
            part.name = parameter(value, "name");
            part.file_name = parameter(value, "filename");
        } else if (base::http::equal_no_case(line.substr(0, colon), "Content-Type")) {
            part.media_type = value;
        }
    }
    return part;
}

}  // namespace

Result<std::vector<FormPart>> read_form(std::string_view content_type, std::string_view body) {
    const std::string boundary = "--" + parameter(content_type, "boundary");
    if (boundary.size() == 2) {
        return fail(Code::invalid_argument, "the form's Content-Type names no boundary");
    }
    std::vector<FormPart> parts;
    std::size_t at = body.find(boundary);
    while (at != std::string_view::npos) {
        at += boundary.size();
        if (body.substr(at).starts_with("--")) return parts;
        const std::size_t head = body.find("\r\n", at);
        const std::size_t content = body.find("\r\n\r\n", at);
        const std::size_t next = body.find("\r\n" + boundary, at);
        if (head == std::string_view::npos || content == std::string_view::npos ||
            next == std::string_view::npos || content + 4 > next + 2 || parts.size() == kPartsMax) {
            break;
        }
        FormPart part = read_head(body.substr(head + 2, content - head - 2));
        part.bytes = body.substr(content + 4, next < content + 4 ? 0 : next - content - 4);
        parts.push_back(std::move(part));
        at = next + 2;
    }
    return fail(Code::invalid_argument, "the form is cut off, or has more than {} parts",
                kPartsMax);
}

}  // namespace memory
