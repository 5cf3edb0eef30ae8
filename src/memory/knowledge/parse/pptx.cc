// Presentations: each slide is a page named by its title, with its text, tables and speaker's
// notes.
#include "memory/knowledge/parse/package.h"
#include "memory/knowledge/parse/parse.h"
#include "memory/knowledge/parse/text_builder.h"

namespace memory::knowledge::parse {
namespace {

using base::Result;

constexpr std::string_view kShow = "ppt/presentation.xml";

std::string paragraph_text(const pugi::xml_node& paragraph) {
    std::string text;
    for (const pugi::xml_node run : paragraph.children()) {
        const std::string_view name = local_name(run);
        if (name == "r" || name == "fld") text += child(run, "t").child_value();
        if (name == "br") text += ' ';
    }
    return text;
}

std::string body_text(const pugi::xml_node& body) {
    std::string text;
    for (const pugi::xml_node one : body.children()) {
        if (local_name(one) != "p") continue;
        const std::string line = paragraph_text(one);
        if (!text.empty() && !line.empty()) text += ' ';
        text += line;
    }
    return text;
}

/// "title", "body", "sldNum", ...; "" for a shape that is no placeholder.
std::string_view placeholder_of(const pugi::xml_node& shape) {
    const pugi::xml_node place = child(child(child(shape, "nvSpPr"), "nvPr"), "ph");
    if (!place) return "";
    const std::string_view type = attribute(place, "type");
    return type.empty() ? "body" : type;
}

bool is_title(const pugi::xml_node& shape) {
    const std::string_view place = placeholder_of(shape);
    return place == "title" || place == "ctrTitle";
}

class Slide {
public:
    explicit Slide(TextBuilder& out) : out_(out) {}

    void shapes(const pugi::xml_node& tree, bool titles) {
        for (const pugi::xml_node shape : tree.children()) {
            const std::string_view name = local_name(shape);
            if (name == "sp") {
                if (is_title(shape) == titles) text_shape(shape, titles);
            } else if (name == "grpSp") {
                shapes(shape, titles);
            } else if (name == "graphicFrame" && !titles) {
                table(child(child(child(shape, "graphic"), "graphicData"), "tbl"));
            }
        }
    }
    std::string title(const pugi::xml_node& tree) const {
        for (const pugi::xml_node shape : tree.children()) {
            if (local_name(shape) == "sp" && is_title(shape)) {
                return body_text(child(shape, "txBody"));
            }
        }
        return "";
    }

private:
    void text_shape(const pugi::xml_node& shape, bool title) {
        const pugi::xml_node body = child(shape, "txBody");
        const std::string_view place = placeholder_of(shape);
        if (title) return out_.add(BlockKind::heading, body_text(body), 1);
        if (place == "sldNum" || place == "dt" || place == "ftr") return;
        for (const pugi::xml_node one : body.children()) {
            if (local_name(one) != "p") continue;
            out_.add(place == "body" || place == "obj" ? BlockKind::item : BlockKind::paragraph,
                     paragraph_text(one));
        }
    }
    void table(const pugi::xml_node& node) {
        bool first = true;
        for (const pugi::xml_node row : node.children()) {
            if (local_name(row) != "tr") continue;
            std::vector<std::string> cells;
            for (const pugi::xml_node cell : row.children()) {
                if (local_name(cell) == "tc") cells.push_back(body_text(child(cell, "txBody")));
            }
            out_.add_row(cells, first);
            first = false;
        }
    }

    TextBuilder& out_;
};

void read_notes(const pugi::xml_node& notes, TextBuilder& out) {
    for (const pugi::xml_node shape : child(child(notes, "cSld"), "spTree").children()) {
        if (placeholder_of(shape) == "body") {
            out.add(BlockKind::note, body_text(child(shape, "txBody")));
        }
    }
}

}  // namespace

Result<Parsed> parse_pptx(std::string_view bytes, const ParseRequest& request) {
    Package package = DG_TRY(Package::open(bytes, request, [](std::string_view name) {
        return name.ends_with(".xml.rels") || name == kShow || name == "docProps/core.xml" ||
               ((name.starts_with("ppt/slides/") || name.starts_with("ppt/notesSlides/")) &&
                name.ends_with(".xml"));
    }));
    const auto* show = DG_TRY(package.xml(std::string(kShow)));
    if (show == nullptr) {
        return base::fail(base::Code::invalid_argument, "this is no presentation: it has no {}",
                          kShow);
    }
    TextBuilder out(request.text_bytes_max);
    out.title(DG_TRY(title_of(package)));
    const auto relations = DG_TRY(package.relations(std::string(kShow)));
    for (const pugi::xml_node item : child(show->first_child(), "sldIdLst").children()) {
        // Its own number is "id", too; the relation's has a prefix.
        const auto part = relations.find(item.attribute("r:id").value());
        if (part == relations.end()) continue;
        const auto* document = DG_TRY(package.xml(part->second));
        if (document == nullptr) continue;
        const pugi::xml_node tree = child(child(document->first_child(), "cSld"), "spTree");
        Slide slide(out);
        out.begin_page(slide.title(tree));
        slide.shapes(tree, true);
        slide.shapes(tree, false);
        for (const auto& [id, target] : DG_TRY(package.relations(part->second))) {
            if (!target.starts_with("ppt/notesSlides/")) continue;
            if (const auto* notes = DG_TRY(package.xml(target)); notes != nullptr) {
                read_notes(notes->first_child(), out);
            }
        }
    }
    return out.finish(kPptx, "this presentation");
}

}  // namespace memory::knowledge::parse
