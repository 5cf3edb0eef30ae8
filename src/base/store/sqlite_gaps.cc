#include "base/store/sqlite_gaps.h"

#include <sqlite3.h>

#include <algorithm>

namespace base::store {
namespace {

constexpr std::size_t kFileHeaderBytes = 100;
constexpr std::size_t kFreeBlockHead = 4;

enum Kind : std::uint8_t {
    interior_index = 2,
    interior_table = 5,
    leaf_index = 10,
    leaf_table = 13
};

std::uint32_t u16(std::string_view page, std::size_t at) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(page[at]) << 8 |
                                      static_cast<unsigned char>(page[at + 1]));
}
std::uint32_t u32(std::string_view page, std::size_t at) {
    return u16(page, at) << 16 | u16(page, at + 2);
}

std::unexpected<Error> damaged(std::string_view what) {
    return fail(Code::data_loss, "{} is outside of its page", what);
}

/// Holds nothing but zeros already.
bool is_blank(std::string_view bytes) {
    return bytes.find_first_not_of('\0') == std::string_view::npos;
}

class Blanker {
public:
    Blanker(sqlite3_file& file, const std::string& path, std::uint32_t page_bytes)
        : file_(file), path_(path), page_(page_bytes, '\0') {}

    Result<void> run(std::span<const std::uint32_t> roots) {
        sqlite3_int64 size = 0;
        if (file_.pMethods->xFileSize(&file_, &size) != SQLITE_OK) return failed("measured");
        seen_.resize(static_cast<std::size_t>(size) / page_.size() + 1);
        std::vector<std::uint32_t> open(roots.begin(), roots.end());
        while (!open.empty()) {
            const std::uint32_t number = open.back();
            open.pop_back();
            DG_TRY(visit(number, open));
        }
        if (changed_ && file_.pMethods->xSync(&file_, SQLITE_SYNC_NORMAL) != SQLITE_OK)
            return failed("synced");
        return {};
    }

private:
    Result<void> visit(std::uint32_t number, std::vector<std::uint32_t>& open) {
        // A page that two others name would be blanked by a layout that is not its own.
        if (number == 0 || number >= seen_.size() || seen_[number]) {
            return fail_on(path_, Code::data_loss,
                           "{}: page {} is not where its b-tree says; run `dougong memory doctor`",
                           path_, number);
        }
        seen_[number] = true;
        const std::int64_t at =
            (std::int64_t{number} - 1) * static_cast<std::int64_t>(page_.size());
        if (file_.pMethods->xRead(&file_, page_.data(), static_cast<int>(page_.size()), at) !=
            SQLITE_OK) {
            return failed("read");
        }
        auto layout = layout_of(page_, number == 1);
        if (!layout) {
            return fail_on(path_, Code::data_loss,
                           "{}: page {} is damaged: {}; run `dougong memory doctor`", path_, number,
                           layout.error().message);
        }
        for (const PageGap& gap : layout->gaps) {
            if (is_blank(std::string_view(page_).substr(gap.begin, gap.size))) continue;
            changed_ = true;
            zeros_.resize(std::max<std::size_t>(zeros_.size(), gap.size));
            if (file_.pMethods->xWrite(&file_, zeros_.data(), static_cast<int>(gap.size),
                                       at + gap.begin) != SQLITE_OK) {
                return failed("written");
            }
        }
        open.insert(open.end(), layout->children.begin(), layout->children.end());
        return {};
    }

    std::unexpected<Error> failed(std::string_view what) const {
        return fail_on(path_, Code::unavailable, "{} cannot be {} to erase what was deleted", path_,
                       what);
    }

    sqlite3_file& file_;
    const std::string& path_;
    std::string page_, zeros_;
    std::vector<bool> seen_;
    bool changed_ = false;
};

}  // namespace

Result<PageLayout> layout_of(std::string_view page, bool is_first) {
    const std::size_t head = is_first ? kFileHeaderBytes : 0;
    const auto kind = static_cast<std::uint8_t>(page[head]);
    const bool interior = kind == interior_index || kind == interior_table;
    if (!interior && kind != leaf_index && kind != leaf_table) {
        return fail(Code::data_loss, "its kind is {}", kind);
    }
    const std::size_t pointers = head + (interior ? 12 : 8);
    const std::uint32_t cells = u16(page, head + 3);
    const std::uint32_t content = u16(page, head + 5) == 0 ? 65'536 : u16(page, head + 5);
    const std::size_t pointers_end = pointers + std::size_t{cells} * 2;
    if (pointers_end > content || content > page.size()) return damaged("where its cells begin");
    PageLayout layout;
    layout.gaps.push_back({static_cast<std::uint32_t>(pointers_end),
                           content - static_cast<std::uint32_t>(pointers_end)});
    // Ascending, so that a damaged chain ends.
    std::uint32_t after = content;
    for (std::uint32_t at = u16(page, head + 1); at != 0;) {
        if (at < after || at + kFreeBlockHead > page.size()) return damaged("a free block");
        const std::uint32_t size = u16(page, at + 2);
        if (size < kFreeBlockHead || at + size > page.size()) return damaged("a free block's end");
        layout.gaps.push_back({at + static_cast<std::uint32_t>(kFreeBlockHead),
                               size - static_cast<std::uint32_t>(kFreeBlockHead)});
        after = at + size;
        at = u16(page, at);
    }
    if (!interior) return layout;
    for (std::uint32_t cell = 0; cell < cells; ++cell) {
        const std::uint32_t at = u16(page, pointers + std::size_t{cell} * 2);
        if (at < content || at + 4 > page.size()) return damaged("a cell");
        layout.children.push_back(u32(page, at));
    }
    layout.children.push_back(u32(page, head + 8));
    return layout;
}

Result<void> blank_gaps(sqlite3* database, const std::string& path, std::uint32_t page_bytes,
                        std::span<const std::uint32_t> roots) {
    sqlite3_file* file = nullptr;
    if (sqlite3_file_control(database, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK ||
        file == nullptr || file->pMethods == nullptr) {
        return fail_on(path, Code::unavailable, "{} is not open", path);
    }
    // Its copies still have the old bytes, and would bring them back with their next change.
    sqlite3_db_release_memory(database);
    return Blanker(*file, path, page_bytes).run(roots);
}

}  // namespace base::store
