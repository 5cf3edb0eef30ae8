// Workbooks: each sheet is a page with its name, each row a block whose level is its number, so
// that passages cite rows. Numbers are as they are kept, dates as ISO 8601.
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <set>

#include "memory/knowledge/parse/package.h"
#include "memory/knowledge/parse/parse.h"
#include "memory/knowledge/parse/text_builder.h"

namespace memory::knowledge::parse {
namespace {

using base::Result;

constexpr std::string_view kBook = "xl/workbook.xml";
constexpr std::size_t kColumnsMax = 256;

/// "AB12" -> column 27 from 0.
std::size_t column_of(std::string_view reference) {
    std::size_t column = 0;
    for (const char c : reference) {
        if (c < 'A' || c > 'Z' || column > kColumnsMax) break;
        column = column * 26 + static_cast<std::size_t>(c - 'A' + 1);
    }
    return column == 0 ? 0 : column - 1;
}

template <class Number>
Number number_of(std::string_view text, Number otherwise = {}) {
    Number number = otherwise;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

bool is_date_format(std::string_view code) {
    bool quoted = false, bracket = false;
    for (const char c : code) {
        if (c == '"') quoted = !quoted;
        if (c == '[') bracket = true;
        if (c == ']') bracket = false;
        if (!quoted && !bracket && (c == 'y' || c == 'd' || c == 'Y' || c == 'D')) return true;
    }
    return false;
}

/// Days since 1899-12-30 (or 1904-01-01) as people write them.
std::string date_text(double serial, bool from_1904) {
    using namespace std::chrono;
    if (!std::isfinite(serial) || serial < 0 || serial > 2'958'466)
        return fmt::format("{}", serial);
    const auto whole = static_cast<int>(serial);
    const sys_days epoch =
        from_1904 ? sys_days{year{1904} / 1 / 1} : sys_days{year{1899} / 12 / 30};
    const year_month_day day{epoch + days{whole}};
    const auto seconds = static_cast<int>(std::lround((serial - whole) * 86'400));
    std::string out =
        fmt::format("{:04}-{:02}-{:02}", static_cast<int>(day.year()),
                    static_cast<unsigned>(day.month()), static_cast<unsigned>(day.day()));
    if (seconds > 0) {
        out += fmt::format(" {:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60);
    }
    return out;
}

std::string all_text(const pugi::xml_node& node) {
    std::string text;
    for (const pugi::xml_node one : node.children()) {
        const std::string_view name = local_name(one);
        if (name == "t") {
            text += one.child_value();
        } else if (name == "r") {
            text += child(one, "t").child_value();
        }
    }
    return text;
}

struct Book {
    std::vector<std::string> shared;
    std::set<std::size_t> date_styles;  // indexes of cellXfs
    bool from_1904 = false;
};

std::string value_of(const pugi::xml_node& cell, const Book& book) {
    const std::string_view type = attribute(cell, "t");
    if (type == "inlineStr") return all_text(child(cell, "is"));
    const std::string_view value = child(cell, "v").child_value();
    if (value.empty()) return "";
    if (type == "s") {
        const auto index = number_of<std::size_t>(value, SIZE_MAX);
        return index < book.shared.size() ? book.shared[index] : "";
    }
    if (type == "b") return value == "1" ? "TRUE" : "FALSE";
    if (type == "str" || type == "e" || type == "d") return std::string(value);
    const auto number = number_of<double>(value, NAN);
    if (book.date_styles.contains(number_of<std::size_t>(attribute(cell, "s"), SIZE_MAX))) {
        return date_text(number, book.from_1904);
    }
    // 0.1 + 0.2 is kept with all its digits; 15 are what a sheet shows.
    return std::isfinite(number) ? fmt::format("{:.15g}", number) : std::string(value);
}

Result<Book> read_book(Package& package, const pugi::xml_node& workbook) {
    constexpr std::array kDateFormats = {14, 15, 16, 17, 22};
    Book book;
    book.from_1904 = attribute(child(workbook, "workbookPr"), "date1904") == "1";
    if (const auto* shared = DG_TRY(package.xml("xl/sharedStrings.xml")); shared != nullptr) {
        for (const pugi::xml_node item : shared->first_child().children()) {
            book.shared.push_back(all_text(item));
        }
    }
    const auto* styles = DG_TRY(package.xml("xl/styles.xml"));
    if (styles == nullptr) return book;
    std::set<int> dates(kDateFormats.begin(), kDateFormats.end());
    for (const pugi::xml_node format : child(styles->first_child(), "numFmts").children()) {
        if (is_date_format(attribute(format, "formatCode"))) {
            dates.insert(number_of<int>(attribute(format, "numFmtId")));
        }
    }
    std::size_t index = 0;
    for (const pugi::xml_node style : child(styles->first_child(), "cellXfs").children()) {
        if (dates.contains(number_of<int>(attribute(style, "numFmtId")))) {
            book.date_styles.insert(index);
        }
        ++index;
    }
    return book;
}

void read_sheet(const pugi::xml_node& sheet, const Book& book, TextBuilder& out) {
    bool first = true;
    std::uint32_t number = 0;
    for (const pugi::xml_node row : child(sheet, "sheetData").children()) {
        if (out.full()) return;
        number = number_of<std::uint32_t>(attribute(row, "r"), number + 1);
        std::vector<std::string> cells;
        bool any = false;
        for (const pugi::xml_node cell : row.children()) {
            const std::string_view reference = attribute(cell, "r");
            const std::size_t column = reference.empty() ? cells.size() : column_of(reference);
            if (column >= kColumnsMax) break;
            if (cells.size() <= column) cells.resize(column + 1);
            cells[column] = value_of(cell, book);
            any |= !cells[column].empty();
        }
        if (!any) continue;
        out.add_row(cells, first, number);
        first = false;
    }
}

}  // namespace

Result<Parsed> parse_xlsx(std::string_view bytes, const ParseRequest& request) {
    Package package = DG_TRY(Package::open(bytes, request, [](std::string_view name) {
        return name.ends_with(".xml.rels") || name == kBook || name == "xl/sharedStrings.xml" ||
               name == "xl/styles.xml" || name == "docProps/core.xml" ||
               (name.starts_with("xl/worksheets/") && name.ends_with(".xml"));
    }));
    const auto* workbook = DG_TRY(package.xml(std::string(kBook)));
    if (workbook == nullptr) {
        return base::fail(base::Code::invalid_argument, "this is no workbook: it has no {}", kBook);
    }
    TextBuilder out(request.text_bytes_max);
    out.title(DG_TRY(title_of(package)));
    const Book book = DG_TRY(read_book(package, workbook->first_child()));
    const auto relations = DG_TRY(package.relations(std::string(kBook)));
    for (const pugi::xml_node sheet : child(workbook->first_child(), "sheets").children()) {
        const auto part = relations.find(std::string(attribute(sheet, "id")));
        if (part == relations.end()) continue;
        const auto* document = DG_TRY(package.xml(part->second));
        if (document == nullptr) continue;
        out.begin_page(attribute(sheet, "name"));
        read_sheet(document->first_child(), book, out);
    }
    return out.finish(kXlsx, "this workbook");
}

}  // namespace memory::knowledge::parse
