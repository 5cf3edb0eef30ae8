#include "memory/knowledge/chunk.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/core/utf8.h"
#include "memory/knowledge/sentences.h"
#include "memory/text/analyzer.h"

namespace memory::knowledge {
namespace {

constexpr std::size_t kHeadingBytesMax = 200;

struct Heading {
    std::uint32_t level = 0;
    std::string title;
};

/// Bytes of one piece that is never cut, half open.
struct Piece {
    std::uint64_t begin = 0, end = 0;
    std::uint32_t tokens = 0;
};

bool is_row(BlockKind kind) {
    return kind == BlockKind::row || kind == BlockKind::header;
}

std::size_t last_cut(std::string_view text, std::size_t most) {
    if (most >= text.size()) return text.size();
    while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) --most;
    // A blank or a comma in the second half is better than the middle of a word.
    for (std::size_t at = most; at > most / 2; --at) {
        if (text[at - 1] == ' ' || text[at - 1] == '\n' || text[at - 1] == ',') return at;
        if (at >= 3 && (text.substr(at - 3, 3) == "，" || text.substr(at - 3, 3) == "、"))
            return at;
    }
    return most;
}

class Chunker {
public:
    Chunker(const Parsed& parsed, const ChunkOptions& options)
        : parsed_(parsed), text_(parsed.text), options_(options) {}

    std::vector<Chunk> run() {
        for (std::size_t i = 0; i < parsed_.blocks.size(); ++i) take(i);
        flush();
        return std::move(chunks_);
    }

private:
    std::string_view text_of(std::uint64_t begin, std::uint64_t end) const {
        return text_.substr(begin, end - begin);
    }
    std::uint32_t page_at(std::uint64_t place) const {
        const auto after = std::ranges::upper_bound(parsed_.pages, place, {}, &PageStart::begin);
        return static_cast<std::uint32_t>(after - parsed_.pages.begin());
    }

    void take(std::size_t index) {
        const Block& block = parsed_.blocks[index];
        if (const std::uint32_t page = page_at(block.begin); page != page_) {
            flush();
            page_ = page;
            table_.reset();
        }
        if (block.kind == BlockKind::heading) return heading(block);
        if (!is_row(block.kind)) {
            table_.reset();
        } else if (block.kind == BlockKind::header || !table_) {
            // A table that fits in one passage is not cut because of what stands before it.
            const std::uint32_t whole = table_tokens(index);
            if (has_content_ && tokens_ + whole > options_.tokens_max) flush();
            fits_table_ = tokens_ + whole <= options_.tokens_max;
            table_ = block;
        }
        for (const Piece& piece : pieces_of(block)) add(piece, block);
    }

    std::uint32_t table_tokens(std::size_t index) const {
        std::uint32_t tokens = 0;
        for (std::size_t i = index; i < parsed_.blocks.size() && tokens <= options_.tokens_max;
             ++i) {
            const Block& row = parsed_.blocks[i];
            if (!is_row(row.kind) || (i != index && row.kind == BlockKind::header)) break;
            tokens += text::count_tokens(text_of(row.begin, row.end));
        }
        return tokens;
    }

    void heading(const Block& block) {
        // Headings that follow one another begin one passage together.
        if (has_content_) flush();
        table_.reset();
        while (!path_.empty() && path_.back().level >= block.level) path_.pop_back();
        if (!open_) above_ = path_.size();
        above_ = std::min(above_, path_.size());
        std::string title(text_of(block.begin, block.end).substr(0, kHeadingBytesMax));
        title.resize(base::utf8_valid_prefix_bytes(title));
        path_.push_back({block.level, std::move(title)});
        const std::uint32_t tokens = text::count_tokens(text_of(block.begin, block.end));
        if (open_ && tokens_ + tokens > options_.tokens_max) {
            flush();
            above_ = path_.size() - 1;
        }
        extend({block.begin, block.end, tokens});
    }

    std::vector<Piece> pieces_of(const Block& block) const {
        const auto whole = text_of(block.begin, block.end);
        const std::uint32_t tokens = text::count_tokens(whole);
        if (tokens <= options_.tokens_max) return {{block.begin, block.end, tokens}};
        std::vector<Piece> pieces;
        std::uint64_t begin = block.begin;
        const auto cut_at = [&](std::uint64_t end) {
            while (begin < end) {
                // A token has two bytes at least, in any script.
                const auto rest = text_of(begin, end);
                std::size_t bytes = rest.size();
                while (text::count_tokens(rest.substr(0, bytes)) > options_.tokens_max) {
                    bytes = std::max<std::size_t>(last_cut(rest, bytes * 3 / 4), 1);
                    while (bytes < rest.size() &&
                           (static_cast<unsigned char>(rest[bytes]) & 0xC0) == 0x80) {
                        ++bytes;
                    }
                    if (bytes <= 4) break;
                }
                pieces.push_back({begin, begin + bytes, text::count_tokens(rest.substr(0, bytes))});
                begin += bytes;
            }
        };
        if (block.kind == BlockKind::code || block.kind == BlockKind::row) {
            for (std::size_t line = whole.find('\n'); line != std::string_view::npos;
                 line = whole.find('\n', line + 1)) {
                cut_at(block.begin + line + 1);
            }
        } else {
            for (const std::size_t end : sentence_ends(whole)) cut_at(block.begin + end);
        }
        cut_at(block.end);
        return pieces;
    }

    void add(const Piece& piece, const Block& block) {
        const bool over = tokens_ + piece.tokens > options_.tokens_target;
        const bool whole_table = table_ && fits_table_;
        if (has_content_ && over &&
            !(whole_table && tokens_ + piece.tokens <= options_.tokens_max)) {
            flush();
        }
        if (!open_ && table_ && block.kind == BlockKind::row && table_->begin != block.begin &&
            table_->kind == BlockKind::header) {
            header_ = text_of(table_->begin, table_->end);
        }
        if (!open_) above_ = path_.size();
        extend(piece);
        has_content_ = true;
        if (is_row(block.kind) && block.level != 0) {
            if (row_first_ == 0) row_first_ = block.level;
            row_last_ = block.level;
        }
    }

    void extend(const Piece& piece) {
        if (!open_) begin_ = piece.begin;
        open_ = true;
        end_ = piece.end;
        tokens_ += piece.tokens;
    }

    void flush() {
        if (!open_) return;
        while (begin_ < end_ && (text_[begin_] == ' ' || text_[begin_] == '\n')) ++begin_;
        while (end_ > begin_ && (text_[end_ - 1] == ' ' || text_[end_ - 1] == '\n')) --end_;
        Chunk made{.begin = begin_, .end = end_, .page = page_};
        if (page_ != 0) made.place = parsed_.pages[page_ - 1].name;
        if (row_first_ != 0) {
            made.place += "!" + std::to_string(row_first_) + ":" + std::to_string(row_last_);
        }
        for (const Heading& one : path_) made.section.push_back(one.title);
        for (std::size_t i = 0; i < above_ && i < path_.size(); ++i) {
            made.above += (made.above.empty() ? "" : " › ") + path_[i].title;
        }
        made.header = std::exchange(header_, {});
        if (begin_ < end_) chunks_.push_back(std::move(made));
        open_ = has_content_ = false;
        tokens_ = row_first_ = row_last_ = 0;
        above_ = path_.size();
    }

    const Parsed& parsed_;
    const std::string_view text_;
    const ChunkOptions options_;
    std::vector<Chunk> chunks_;
    std::vector<Heading> path_;
    std::uint32_t page_ = 0;
    std::optional<Block> table_;  ///< the first row of the one being read
    bool fits_table_ = false;     ///< whole, in the passage that it begins in
    // Of the passage being filled.
    bool open_ = false, has_content_ = false;
    std::uint64_t begin_ = 0, end_ = 0;
    std::uint32_t tokens_ = 0, row_first_ = 0, row_last_ = 0;
    std::size_t above_ = 0;  ///< so many headings of path_ are not in its text
    std::string header_;
};

}  // namespace

std::vector<Chunk> chunk(const Parsed& parsed, const ChunkOptions& options) {
    return Chunker(parsed, options).run();
}

std::string searched_text(const Chunk& chunk, std::string_view title, std::string_view text) {
    std::string out;
    const bool titled = !title.empty() && (chunk.section.empty() || chunk.section.front() != title);
    if (titled) out += title;
    if (!chunk.above.empty()) out += (out.empty() ? "" : " › ") + chunk.above;
    if (!out.empty()) out += '\n';
    if (!chunk.header.empty()) out += chunk.header + "\n";
    out += text.substr(chunk.begin, chunk.end - chunk.begin);
    return out;
}

}  // namespace memory::knowledge
