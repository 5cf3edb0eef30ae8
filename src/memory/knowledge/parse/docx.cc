// Word documents: paragraphs by their styles, lists, tables, footnotes. Deleted text of tracked
// changes is left out. Pages are those that the last program to show it wrote down.
#include <map>

#include "memory/knowledge/parse/package.h"
#include "memory/knowledge/parse/parse.h"
#include "memory/knowledge/parse/text_builder.h"

namespace memory::knowledge::parse {
namespace {

using base::Result;

constexpr std::string_view kBody = "word/document.xml";

/// The level of "heading 2", "Heading2", "标题 2"; 0: none.
std::uint32_t heading_level(std::string_view style) {
    std::string name;
    for (const char c : style) {
        if (c != ' ') name += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    }
    if (name == "title") return 1;
    for (const std::string_view word : {"heading", "标题"}) {
        if (name.size() == word.size() + 1 && name.starts_with(word) && name.back() >= '1' &&
            name.back() <= '9') {
            return static_cast<std::uint32_t>(name.back() - '0');
        }
    }
    return 0;
}

class Reader {
public:
    Reader(TextBuilder& out, std::map<std::string, std::uint32_t> levels, bool paged)
        : out_(out), levels_(std::move(levels)), paged_(paged) {
        if (paged_) out_.begin_page();
    }

    void body(const pugi::xml_node& node) {
        for (const pugi::xml_node one : node.children()) {
            const std::string_view name = local_name(one);
            if (name == "p") {
                paragraph(one);
            } else if (name == "tbl") {
                table(one);
            } else if (name == "sdt" || name == "sdtContent" || name == "ins" ||
                       name == "customXml" || name == "smartTag") {
                body(one);
            }
        }
    }

private:
    void paragraph(const pugi::xml_node& node) {
        std::string text;
        breaks_ = 0;
        runs(node, text);
        const pugi::xml_node properties = child(node, "pPr");
        const std::string style(attribute(child(properties, "pStyle"), "val"));
        std::uint32_t level = 0;
        if (const auto known = levels_.find(style); known != levels_.end()) level = known->second;
        if (const pugi::xml_node outline = child(properties, "outlineLvl")) {
            const std::string_view value = attribute(outline, "val");
            if (value.size() == 1 && value[0] >= '0' && value[0] < '9') {
                level = static_cast<std::uint32_t>(value[0] - '0') + 1;
            }
        }
        if (level != 0) {
            out_.add(BlockKind::heading, text, level);
        } else {
            out_.add(child(properties, "numPr") ? BlockKind::item : BlockKind::paragraph, text);
        }
        for (; paged_ && breaks_ > 0; --breaks_) out_.begin_page();
    }

    void runs(const pugi::xml_node& node, std::string& text) {
        for (const pugi::xml_node one : node.children()) {
            const std::string_view name = local_name(one);
            if (name == "t") {
                text += one.child_value();
            } else if (name == "tab" || name == "cr") {
                text += ' ';
            } else if (name == "br") {
                text += ' ';
                breaks_ += attribute(one, "type") == "page" && !rendered_;
            } else if (name == "lastRenderedPageBreak") {
                rendered_ = true;
                ++breaks_;
            } else if (name == "noBreakHyphen") {
                text += '-';
            } else if (name != "del" && name != "moveFrom" && name != "pPr" && name != "rPr" &&
                       name != "Fallback" && name != "instrText") {
                runs(one, text);
            }
        }
    }

    void table(const pugi::xml_node& node) {
        bool first = true;
        for (const pugi::xml_node row : node.children()) {
            if (local_name(row) != "tr") continue;
            std::vector<std::string> cells;
            for (const pugi::xml_node cell : row.children()) {
                if (local_name(cell) == "tc") runs(cell, cells.emplace_back());
            }
            out_.add_row(cells, first);
            first = false;
        }
        for (; paged_ && breaks_ > 0; --breaks_) out_.begin_page();
    }

    TextBuilder& out_;
    const std::map<std::string, std::uint32_t> levels_;  // by style
    const bool paged_;
    bool rendered_ = false;
    int breaks_ = 0;
};

/// Styles that are headings, by id, also those based on one.
Result<std::map<std::string, std::uint32_t>> styles_of(Package& package) {
    std::map<std::string, std::uint32_t> levels;
    std::map<std::string, std::string> based_on;
    const auto* styles = DG_TRY(package.xml("word/styles.xml"));
    if (styles == nullptr) return levels;
    for (const pugi::xml_node style : styles->first_child().children()) {
        if (local_name(style) != "style") continue;
        const std::string id(attribute(style, "styleId"));
        std::uint32_t level = heading_level(attribute(child(style, "name"), "val"));
        if (level == 0) level = heading_level(id);
        if (level != 0) {
            levels.emplace(id, level);
        } else if (const auto base = attribute(child(style, "basedOn"), "val"); !base.empty()) {
            based_on.emplace(id, base);
        }
    }
    for (int round = 0; round < 4; ++round) {
        for (const auto& [id, base] : based_on) {
            if (const auto known = levels.find(base); known != levels.end()) {
                levels.emplace(id, known->second);
            }
        }
    }
    return levels;
}

}  // namespace

Result<Parsed> parse_docx(std::string_view bytes, const ParseRequest& request) {
    Package package = DG_TRY(Package::open(bytes, request, [](std::string_view name) {
        return name == kBody || name == "word/styles.xml" || name == "word/footnotes.xml" ||
               name == "docProps/core.xml";
    }));
    const auto* document = DG_TRY(package.xml(std::string(kBody)));
    if (document == nullptr) {
        return base::fail(base::Code::invalid_argument, "this is no Word document: it has no {}",
                          kBody);
    }
    TextBuilder out(request.text_bytes_max);
    out.title(DG_TRY(title_of(package)));
    const bool paged =
        package.parts().at(std::string(kBody)).find("lastRenderedPageBreak") != std::string::npos;
    Reader reader(out, DG_TRY(styles_of(package)), paged);
    reader.body(child(document->first_child(), "body"));
    if (const auto* notes = DG_TRY(package.xml("word/footnotes.xml")); notes != nullptr) {
        for (const pugi::xml_node note : notes->first_child().children()) {
            Reader(out, {}, false).body(note);
        }
    }
    return out.finish(kDocx, "this document");
}

}  // namespace memory::knowledge::parse
