// Markdown: CommonMark's blocks with tables, as far as text and structure need them. Marks of
// emphasis and links go; code and tables stay whole.
#include <algorithm>
#include <optional>

#include "memory/knowledge/parse/encoding.h"
#include "memory/knowledge/parse/entities.h"
#include "memory/knowledge/parse/parse.h"
#include "memory/knowledge/parse/text_builder.h"

namespace memory::knowledge::parse {
namespace {

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::size_t indent_of(std::string_view line) {
    std::size_t columns = 0;
    for (const char c : line) {
        if (c == ' ') {
            ++columns;
        } else if (c == '\t') {
            columns += 4;
        } else {
            break;
        }
    }
    return columns;
}

bool word_character(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           static_cast<signed char>(c) < 0;
}

/// `[text](target)` at `at`: the text, and where it goes on. Brackets inside the text may nest.
struct Link {
    std::string_view text;
    std::size_t end;
};
std::optional<Link> link_at(std::string_view text, std::size_t at) {
    int depth = 0;
    const std::size_t limit = std::min(text.size(), at + 2000);
    for (std::size_t i = at; i < limit; ++i) {
        if (text[i] == '\\') {
            ++i;
        } else if (text[i] == '[') {
            ++depth;
        } else if (text[i] == ']' && --depth == 0) {
            const char next = i + 1 < text.size() ? text[i + 1] : ' ';
            if (next != '(' && next != '[') return std::nullopt;
            const std::size_t close = text.find(next == '(' ? ')' : ']', i + 2);
            if (close == std::string_view::npos || close > i + 4000) return std::nullopt;
            return Link{text.substr(at + 1, i - at - 1), close + 1};
        }
    }
    return std::nullopt;
}

/// A tag at `at` ('<'): where it ends. An address in angle brackets is none.
std::optional<std::size_t> tag_at(std::string_view text, std::size_t at) {
    const char next = at + 1 < text.size() ? text[at + 1] : ' ';
    if (!(next == '/' || next == '!' || (next >= 'a' && next <= 'z') ||
          (next >= 'A' && next <= 'Z'))) {
        return std::nullopt;
    }
    const std::size_t end = text.find('>', at);
    if (end == std::string_view::npos || end > at + 1000) return std::nullopt;
    const std::string_view inside = text.substr(at + 1, end - at - 1);
    if (inside.find("://") < inside.find_first_of(" \"'") || inside.find('@') < inside.find(' ')) {
        return std::nullopt;
    }
    return end + 1;
}

/// Inline marks off.
std::string inline_text(std::string_view text, int depth = 0) {
    std::string out;
    for (std::size_t i = 0; i < text.size();) {
        const char c = text[i];
        const char before = i == 0 ? ' ' : text[i - 1];
        const char after = i + 1 < text.size() ? text[i + 1] : ' ';
        if (c == '\\' && i + 1 < text.size() && !word_character(after) && after != ' ') {
            out += after;
            i += 2;
        } else if (c == '`') {
            const std::size_t run = std::min(text.find_first_not_of('`', i), text.size()) - i;
            const std::size_t end = text.find(std::string(run, '`'), i + run);
            if (end == std::string_view::npos) {
                out += text.substr(i, run);
                i += run;
            } else {
                out += trimmed(text.substr(i + run, end - i - run));
                i = end + run;
            }
        } else if (c == '!' && after == '[') {
            ++i;
        } else if (const auto link = c == '[' && depth < 8 ? link_at(text, i) : std::nullopt) {
            out += inline_text(link->text, depth + 1);
            i = link->end;
        } else if (const auto tag = c == '<' ? tag_at(text, i) : std::nullopt) {
            if (text.substr(i).starts_with("<br")) out += ' ';
            i = *tag;
        } else if ((c == '*' && !(before == ' ' && after == ' ')) || (c == '~' && after == '~') ||
                   (c == '_' && !(word_character(before) && word_character(after)) &&
                    !(before == ' ' && after == ' '))) {
            const std::size_t run = std::min(text.find_first_not_of(c, i), text.size()) - i;
            if (run > 3) out += text.substr(i, run);
            i += run;
        } else {
            out += c;
            ++i;
        }
    }
    return depth == 0 ? decode_entities(out) : out;
}

std::vector<std::string> cells_of(std::string_view line) {
    line = trimmed(line);
    if (line.starts_with('|')) line.remove_prefix(1);
    if (line.ends_with('|') && !line.ends_with("\\|")) line.remove_suffix(1);
    std::vector<std::string> cells(1);
    bool code = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
        if (line[i] == '`') code = !code;
        if (line[i] == '\\' && i + 1 < line.size() && line[i + 1] == '|') {
            cells.back() += line[++i];
        } else if (line[i] == '|' && !code) {
            cells.emplace_back();
        } else {
            cells.back() += line[i];
        }
    }
    for (std::string& cell : cells) cell = inline_text(trimmed(cell));
    return cells;
}

/// |---|:--:| under a table's first row.
bool is_delimiter(std::string_view line) {
    line = trimmed(line);
    return line.find('-') != std::string_view::npos && line.find('|') != std::string_view::npos &&
           line.find_first_not_of("|-: \t") == std::string_view::npos;
}

/// What a list's mark takes of the line; 0: it has none.
std::size_t item_mark(std::string_view line) {
    if (line.size() >= 2 && (line[0] == '-' || line[0] == '*' || line[0] == '+') &&
        line[1] == ' ') {
        return 2;
    }
    std::size_t digits = 0;
    while (digits < line.size() && digits < 9 && line[digits] >= '0' && line[digits] <= '9')
        ++digits;
    const bool mark = digits > 0 && digits + 1 < line.size() &&
                      (line[digits] == '.' || line[digits] == ')') && line[digits + 1] == ' ';
    return mark ? digits + 2 : 0;
}

bool is_rule(std::string_view line) {
    const char c = line.empty() ? ' ' : line[0];
    return (c == '-' || c == '*' || c == '_') && std::ranges::count(line, c) >= 3 &&
           line.find_first_not_of(std::string{c, ' '}) == std::string_view::npos;
}

class Reader {
public:
    Reader(std::string_view text, TextBuilder& out) : rest_(text), out_(out) { front_matter(); }

    void read() {
        while (!rest_.empty() && !out_.full()) block(next_line());
        flush();
    }

private:
    std::string_view peek() const { return rest_.substr(0, rest_.find('\n')); }
    std::string_view next_line() {
        const std::string_view line = peek();
        rest_.remove_prefix(std::min(rest_.size(), line.size() + 1));
        return line;
    }

    /// --- ... ---: its title counts, the rest goes.
    void front_matter() {
        if (!rest_.starts_with("---\n")) return;
        const std::size_t end = rest_.find("\n---", 3);
        if (end == std::string_view::npos) return;
        std::string_view head = rest_.substr(4, end - std::min<std::size_t>(end, 3));
        rest_.remove_prefix(std::min(rest_.size(), end + 4));
        while (!head.empty()) {
            std::string_view line = head.substr(0, head.find('\n'));
            head.remove_prefix(std::min(head.size(), line.size() + 1));
            if (!line.starts_with("title:")) continue;
            line = trimmed(line.substr(6));
            if (line.size() > 1 && (line[0] == '"' || line[0] == '\'')) {
                line = line.substr(1, line.size() - 2);
            }
            out_.title(line);
        }
    }

    void flush() {
        out_.add(kind_, inline_text(paragraph_));
        paragraph_.clear();
        kind_ = BlockKind::paragraph;
    }

    void block(std::string_view raw) {
        std::string_view line = trimmed(raw);
        while (line.starts_with('>')) line = trimmed(line.substr(1));
        if (line.empty()) return flush();
        if (line.starts_with("```") || line.starts_with("~~~")) return fence(line);
        if (line.starts_with("<!--")) return comment(line);
        if (paragraph_.empty() && kind_ != BlockKind::item && indent_of(raw) >= 4 && !in_list_) {
            return indented(raw);
        }
        if (heading(line)) return;
        if (const bool setext = !paragraph_.empty() && kind_ == BlockKind::paragraph &&
                                (line.find_first_not_of('=') == std::string_view::npos ||
                                 line.find_first_not_of('-') == std::string_view::npos);
            setext) {
            const std::string title = inline_text(std::exchange(paragraph_, {}));
            return out_.add(BlockKind::heading, title, line[0] == '=' ? 1 : 2);
        }
        if (is_rule(line)) return flush();
        if (line.find('|') != std::string_view::npos && is_delimiter(peek())) return table(line);
        if (const std::size_t mark = item_mark(line); mark != 0) {
            flush();
            kind_ = BlockKind::item;
            in_list_ = true;
            line = line.substr(mark);
        } else if (paragraph_.empty() && indent_of(raw) < 2) {
            in_list_ = false;
        }
        join_line(paragraph_, line);
    }

    bool heading(std::string_view line) {
        const std::size_t level = std::min(line.find_first_not_of('#'), line.size());
        if (level == 0 || level > 6 || (level < line.size() && line[level] != ' ')) return false;
        flush();
        in_list_ = false;
        line = trimmed(line.substr(level));
        const std::size_t end = line.find_last_not_of('#');
        if (end != std::string_view::npos && end + 1 < line.size() && line[end] == ' ') {
            line = trimmed(line.substr(0, end));
        }
        out_.add(BlockKind::heading, inline_text(line), static_cast<std::uint32_t>(level));
        return true;
    }

    void fence(std::string_view line) {
        flush();
        const std::size_t run = std::min(line.find_first_not_of(line[0]), line.size());
        const std::string mark(run, line[0]);
        std::string code;
        while (!rest_.empty()) {
            const std::string_view inside = next_line();
            if (trimmed(inside).starts_with(mark)) break;
            code += inside;
            code += '\n';
        }
        out_.add_code(code);
    }

    void indented(std::string_view raw) {
        std::string code(raw);
        code += '\n';
        while (!rest_.empty() && (indent_of(peek()) >= 4 || trimmed(peek()).empty())) {
            code += next_line();
            code += '\n';
        }
        out_.add_code(code);
    }

    void comment(std::string_view line) {
        flush();
        while (line.find("-->") == std::string_view::npos && !rest_.empty()) line = next_line();
    }

    void table(std::string_view line) {
        flush();
        out_.add_row(cells_of(line), true);
        next_line();
        while (!rest_.empty() && peek().find('|') != std::string_view::npos) {
            out_.add_row(cells_of(next_line()), false);
        }
    }

    std::string_view rest_;
    TextBuilder& out_;
    BlockKind kind_ = BlockKind::paragraph;
    bool in_list_ = false;
    std::string paragraph_;
};

}  // namespace

base::Result<Parsed> parse_markdown(std::string_view bytes, const ParseRequest& request) {
    const std::string text = DG_TRY(decode_text(bytes, ""));
    TextBuilder out(request.text_bytes_max);
    Reader(text, out).read();
    return out.finish(kMarkdown, "this text");
}

}  // namespace memory::knowledge::parse
