// HTML as people write it: a tokenizer that takes any bytes and never fails, and what its tags mean
// for the text. Scripts, styles and what is around a page (nav, footer, aside) are left out;
// where an <article> or <main> holds most of the text, only that is read, and of a page that is an
// article, what main_text.h finds.
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

#include "memory/knowledge/parse/encoding.h"
#include "memory/knowledge/parse/entities.h"
#include "memory/knowledge/parse/main_text.h"
#include "memory/knowledge/parse/parse.h"
#include "memory/knowledge/parse/text_builder.h"

namespace memory::knowledge::parse {
namespace {

using Names = std::set<std::string_view>;

const Names kRaw = {"script", "style", "textarea", "title", "xmp", "noembed", "noframes"};
const Names kLeftOut = {"nav", "footer", "aside",    "button",   "select", "iframe", "object",
                        "svg", "canvas", "noscript", "template", "dialog", "math"};
const Names kBlock = {"p",      "div",        "section", "article", "main",    "header",
                      "ul",     "ol",         "dl",      "dt",      "dd",      "blockquote",
                      "figure", "figcaption", "address", "hr",      "br",      "body",
                      "html",   "fieldset",   "details", "summary", "caption", "center"};

struct Tag {
    std::string name;
    bool closing = false;
    std::string_view attributes;
};

struct Piece {
    BlockKind kind = BlockKind::paragraph;
    std::uint32_t level = 0;
    std::string text = {};
    std::vector<std::string> cells = {};
    bool in_main = false;
    std::uint32_t box = 0;  ///< the innermost that it stands in
    std::size_t link_bytes = 0;
};

/// What holds others, whose names and classes say what they are for.
const Names kBoxes = {"div", "section", "article", "main",  "header", "ul",         "ol",
                      "dl",  "table",   "td",      "form",  "body",   "blockquote", "figure",
                      "li",  "center",  "details", "tbody", "tr",     "figcaption", "p"};

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}
bool name_character(char c) {
    c = lower(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == ':';
}

/// The value of an attribute, empty when it is not there.
std::string_view attribute(std::string_view attributes, std::string_view name) {
    for (std::size_t at = attributes.find(name); at != std::string_view::npos;
         at = attributes.find(name, at + 1)) {
        std::size_t from = at + name.size();
        if (at == 0 || attributes[at - 1] == '-' || name_character(attributes[at - 1])) continue;
        while (from < attributes.size() && attributes[from] == ' ') ++from;
        if (from >= attributes.size() || attributes[from] != '=') continue;
        ++from;
        while (from < attributes.size() && attributes[from] == ' ') ++from;
        if (from >= attributes.size()) return {};
        const char quote = attributes[from];
        if (quote != '"' && quote != '\'') {
            return attributes.substr(from, attributes.find(' ', from) - from);
        }
        return attributes.substr(from + 1, attributes.find(quote, from + 1) - from - 1);
    }
    return {};
}

/// The tag at `at`, which is a '<'. Moves behind it; nothing when it is text after all.
std::optional<Tag> read_tag(std::string_view html, std::size_t& at) {
    std::size_t i = at + 1;
    Tag tag;
    if (i < html.size() && html[i] == '/') {
        tag.closing = true;
        ++i;
    }
    const std::size_t name = i;
    while (i < html.size() && name_character(html[i])) ++i;
    if (i == name || !(lower(html[name]) >= 'a' && lower(html[name]) <= 'z')) return std::nullopt;
    std::ranges::transform(html.substr(name, i - name), std::back_inserter(tag.name), lower);
    const std::size_t attributes = i;
    for (char quote = 0; i < html.size() && (quote != 0 || html[i] != '>'); ++i) {
        if (quote != 0) {
            if (html[i] == quote) quote = 0;
        } else if ((html[i] == '"' || html[i] == '\'') && html[i - 1] == '=') {
            quote = html[i];
        }
    }
    tag.attributes = html.substr(attributes, i - attributes);
    at = std::min(html.size(), i + 1);
    return tag;
}

/// Where "</name" is next, whatever its case; the end when nowhere.
std::size_t find_closing(std::string_view html, std::size_t from, std::string_view name) {
    for (;;) {
        from = html.find("</", from);
        if (from == std::string_view::npos) return html.size();
        const std::string_view here = html.substr(from + 2, name.size());
        if (here.size() == name.size() && std::ranges::equal(here, name, {}, lower)) {
            return from;
        }
        from += 2;
    }
}

class Reader {
public:
    explicit Reader(std::string_view html) : html_(html) {}

    std::vector<Piece> read() {
        for (std::size_t at = 0; at < html_.size();) {
            const std::size_t tag = html_.find('<', at);
            if (skipping_.empty()) inline_ += html_.substr(at, tag - at);
            if (tag == std::string_view::npos) break;
            at = tag;
            if (html_.substr(at).starts_with("<!--")) {
                const std::size_t end = html_.find("-->", at + 4);
                at = end == std::string_view::npos ? html_.size() : end + 3;
            } else if (html_.substr(at).starts_with("<!") || html_.substr(at).starts_with("<?")) {
                const std::size_t end = html_.find('>', at);
                at = end == std::string_view::npos ? html_.size() : end + 1;
            } else if (auto found = read_tag(html_, at)) {
                take(*found, at);
            } else {
                if (skipping_.empty()) inline_ += "&lt;";
                ++at;
            }
        }
        flush();
        end_row();
        return std::move(pieces_);
    }
    const std::string& title() const { return title_; }
    const std::vector<Box>& boxes() const { return boxes_; }

private:
    void take(const Tag& tag, std::size_t& at) {
        const std::string_view name = tag.name;
        if (!tag.closing && kRaw.contains(name)) {
            const std::size_t end = find_closing(html_, at, name);
            if (name == "title" && title_.empty()) {
                title_ = decode_entities(html_.substr(at, end - at));
            }
            at = end;
            return;
        }
        if (!skipping_.empty()) {
            if (name == skipping_) depth_ += tag.closing ? -1 : 1;
            if (depth_ == 0) skipping_.clear();
            return;
        }
        if (kLeftOut.contains(name)) {
            // One that is never closed would take the whole page with it.
            if (tag.closing || never_closed_.contains(tag.name)) return;
            if (find_closing(html_, at, name) == html_.size()) {
                never_closed_.insert(tag.name);
                return;
            }
            flush();
            skipping_ = tag.name;
            depth_ = 1;
            return;
        }
        structure(tag, name);
    }

    /// Keeps the boxes that are open. One closed without having been open closes nothing; what was
    /// left open in it is closed with it.
    void follow_boxes(const Tag& tag, std::string_view name) {
        constexpr std::size_t kOpenMax = 256;
        if (!tag.closing) {
            if (name == "p" && !open_.empty() && open_.back().first == "p") open_.pop_back();
            if (open_.size() >= kOpenMax) return;
            const auto says = [&](bool (*test)(std::string_view)) {
                return test(attribute(tag.attributes, "class")) ||
                       test(attribute(tag.attributes, "id"));
            };
            const std::string_view item = attribute(tag.attributes, "itemprop");
            Box box{.parent = open_.empty() ? 0 : open_.back().second};
            box.boilerplate = says(is_boilerplate);
            box.comments = says(is_comments);
            box.article =
                name == "article" || name == "main" || (name != "body" && says(is_article));
            box.article_body = item == "articleBody";
            box.leaf = name == "p" || name == "li" || name == "figcaption" || name == "tr";
            boxes_.push_back(box);
            open_.emplace_back(tag.name, static_cast<std::uint32_t>(boxes_.size() - 1));
            return;
        }
        for (std::size_t i = open_.size(); i-- > 0;) {
            if (open_[i].first != name) continue;
            open_.resize(i);
            return;
        }
    }
    /// Pre: the text of the link is still in inline_.
    void follow_link(bool closing) {
        if (in_link_) link_bytes_ += inline_.size() - std::min(inline_.size(), link_begin_);
        in_link_ = !closing;
        link_begin_ = inline_.size();
    }

    void structure(const Tag& tag, std::string_view name) {
        if (name == "a") follow_link(tag.closing);
        structure_text(tag, name);
        if (kBoxes.contains(name)) {
            flush();
            follow_boxes(tag, name);
        }
    }

    void structure_text(const Tag& tag, std::string_view name) {
        if (name.size() == 2 && name[0] == 'h' && name[1] >= '1' && name[1] <= '6') {
            flush();
            kind_ = tag.closing ? BlockKind::paragraph : BlockKind::heading;
            level_ = static_cast<std::uint32_t>(name[1] - '0');
        } else if (name == "li") {
            flush();
            kind_ = tag.closing ? BlockKind::paragraph : BlockKind::item;
        } else if (name == "pre") {
            flush();
            kind_ = tag.closing ? BlockKind::paragraph : BlockKind::code;
        } else if (name == "br" && kind_ == BlockKind::code) {
            inline_ += '\n';
        } else if (name == "br") {
            inline_ += ' ';
        } else if (name == "article" || name == "main") {
            flush();
            main_depth_ += tag.closing ? (main_depth_ > 0 ? -1 : 0) : 1;
        } else if (name == "table") {
            flush();
            end_row();
            table_depth_ += tag.closing ? (table_depth_ > 0 ? -1 : 0) : 1;
            if (!tag.closing) rows_ = 0;
        } else if (name == "tr" && table_depth_ > 0) {
            flush();
            end_row();
            in_row_ = !tag.closing;
        } else if ((name == "td" || name == "th") && table_depth_ > 0) {
            flush();
            if (!tag.closing) {
                in_row_ = in_cell_ = true;
                row_.emplace_back();
                header_cells_ += name == "th";
            } else {
                in_cell_ = false;
            }
        } else if (kBlock.contains(name)) {
            flush();
        }
    }

    void flush() {
        if (in_link_) follow_link(false);
        const std::size_t link_bytes = std::exchange(link_bytes_, 0);
        link_begin_ = 0;
        const std::uint32_t box = open_.empty() ? 0 : open_.back().second;
        std::string text = decode_entities(std::exchange(inline_, {}));
        if (in_cell_ && !row_.empty()) {
            const std::string clean = one_line(text);
            std::string& cell = row_.back();
            if (!cell.empty() && !clean.empty()) cell += ' ';
            cell += clean;
            return;
        }
        if (kind_ != BlockKind::code && one_line(text).empty()) return;
        pieces_.push_back({kind_, level_, std::move(text), {}, main_depth_ > 0, box, link_bytes});
        if (kind_ == BlockKind::item) kind_ = BlockKind::paragraph;
    }

    void end_row() {
        in_cell_ = in_row_ = false;
        if (row_.empty()) return;
        const bool header = rows_++ == 0 || header_cells_ == row_.size();
        // A table of one column holds a layout, not data.
        if (row_.size() == 1) {
            pieces_.push_back(
                {BlockKind::paragraph, 0, std::move(row_[0]), {}, main_depth_ > 0, row_box()});
        } else {
            pieces_.push_back({header ? BlockKind::header : BlockKind::row, 0, "", std::move(row_),
                               main_depth_ > 0, row_box()});
        }
        row_.clear();
        header_cells_ = 0;
    }

    std::uint32_t row_box() const { return open_.empty() ? 0 : open_.back().second; }

    std::string_view html_;
    std::string inline_, title_, skipping_;
    int depth_ = 0, main_depth_ = 0, table_depth_ = 0;
    std::set<std::string, std::less<>> never_closed_;
    BlockKind kind_ = BlockKind::paragraph;
    std::uint32_t level_ = 0;
    bool in_row_ = false, in_cell_ = false;
    std::vector<std::string> row_;
    std::size_t header_cells_ = 0, rows_ = 0;
    std::vector<Piece> pieces_;
    std::vector<Box> boxes_ = {Box{}};  ///< the first is the page
    std::vector<std::pair<std::string, std::uint32_t>> open_;
    bool in_link_ = false;
    std::size_t link_begin_ = 0, link_bytes_ = 0;
};

/// charset=... of the first bytes, as <meta> says it.
std::string charset_of(std::string_view html) {
    std::string head;
    std::ranges::transform(html.substr(0, 2048), std::back_inserter(head), lower);
    const std::size_t at = head.find("charset=");
    if (at == std::string::npos) return "";
    std::size_t begin = at + 8;
    if (begin < head.size() && (head[begin] == '"' || head[begin] == '\'')) ++begin;
    std::size_t end = begin;
    while (end < head.size() && (name_character(head[end]) || head[end] == '_')) ++end;
    return head.substr(begin, end - begin);
}

std::size_t bytes_of(const Piece& piece) {
    std::size_t bytes = piece.text.size();
    for (const std::string& cell : piece.cells) bytes += cell.size();
    return bytes;
}

/// Whether what <article> and <main> hold is the page.
bool main_holds_it(const std::vector<Piece>& pieces) {
    constexpr std::size_t kBytesMin = 400;
    std::size_t all = 0, inside = 0;
    for (const Piece& piece : pieces) {
        all += bytes_of(piece);
        if (piece.in_main) inside += bytes_of(piece);
    }
    return inside >= kBytesMin && inside * 3 >= all;
}

}  // namespace

base::Result<Parsed> parse_html(std::string_view bytes, const ParseRequest& request) {
    const std::string html = DG_TRY(decode_text(bytes, charset_of(bytes)));
    Reader reader(html);
    const std::vector<Piece> pieces = reader.read();
    std::vector<Part> parts;
    for (const Piece& piece : pieces) {
        parts.push_back({piece.box, bytes_of(piece), piece.link_bytes,
                         piece.kind == BlockKind::heading ? piece.level : 0,
                         piece.kind == BlockKind::paragraph});
    }
    const std::vector<bool> kept = main_text(reader.boxes(), parts);
    const bool main_only = kept.empty() && main_holds_it(pieces);
    TextBuilder out(request.text_bytes_max);
    out.title(reader.title());
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        const Piece& piece = pieces[i];
        if (kept.empty() ? main_only && !piece.in_main : !kept[i]) continue;
        if (piece.kind == BlockKind::row || piece.kind == BlockKind::header) {
            out.add_row(piece.cells, piece.kind == BlockKind::header);
        } else if (piece.kind == BlockKind::code) {
            out.add_code(piece.text);
        } else {
            out.add(piece.kind, piece.text, piece.level);
        }
    }
    return out.finish(kHtml, "this page");
}

}  // namespace memory::knowledge::parse
