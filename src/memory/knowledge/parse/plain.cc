// Plain text: paragraphs are parted by empty lines.
#include <algorithm>

#include "memory/knowledge/parse/encoding.h"
#include "memory/knowledge/parse/parse.h"
#include "memory/knowledge/parse/text_builder.h"

namespace memory::knowledge::parse {
namespace {

bool is_empty(std::string_view line) {
    return line.find_first_not_of(" \t\f\v") == std::string_view::npos;
}

}  // namespace

base::Result<Parsed> parse_plain(std::string_view bytes, const ParseRequest& request) {
    const std::string text = DG_TRY(decode_text(bytes, ""));
    TextBuilder out(request.text_bytes_max);
    std::string paragraph;
    const auto flush = [&] {
        out.add_lines(BlockKind::paragraph, paragraph);
        paragraph.clear();
    };
    for (std::string_view rest = text; !rest.empty() && !out.full();) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
        if (is_empty(line)) {
            flush();
        } else {
            paragraph += line;
            paragraph += '\n';
        }
    }
    flush();
    return out.finish(kPlain, "this text");
}

}  // namespace memory::knowledge::parse
