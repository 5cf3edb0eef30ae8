// Images by tesseract, called as a program: its words, grouped as it grouped them.
#include <dirent.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <vector>

#include "base/files/unique_fd.h"
#include "memory/knowledge/parse/parse.h"
#include "memory/knowledge/parse/text_builder.h"

namespace memory::knowledge::parse {
namespace {

using base::Code;
using base::fail;
using base::Result;
using base::UniqueFd;

constexpr std::array<const char*, 2> kPrograms = {"/usr/bin/tesseract", "/usr/local/bin/tesseract"};
constexpr std::array<std::string_view, 2> kData = {"/usr/share/tesseract-ocr",
                                                   "/usr/local/share/tessdata"};
constexpr std::size_t kOutputBytesMax = 64u << 20;
/// Of what tesseract says of itself, in percent; below, it is mostly noise.
constexpr double kConfidenceMin = 30;

const char* program() {
    for (const char* path : kPrograms) {
        if (::access(path, X_OK) == 0) return path;
    }
    return nullptr;
}

bool has_language(const std::string& name) {
    for (const std::string_view folder : kData) {
        for (const char* version : {"/5/tessdata/", "/4.00/tessdata/", "/"}) {
            const std::string path = std::string(folder) + version + name + ".traineddata";
            if (::access(path.c_str(), R_OK) == 0) return true;
        }
    }
    return false;
}

/// English and Chinese as far as they are installed.
std::string languages() {
    std::string out;
    for (const char* name : {"eng", "chi_sim"}) {
        if (has_language(name)) out += (out.empty() ? "" : "+") + std::string(name);
    }
    return out;
}

std::string read_all(int fd) {
    std::string out;
    char block[16u << 10];
    for (;;) {
        const auto got = ::read(fd, block, sizeof(block));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0 || out.size() > kOutputBytesMax) return out;
        out.append(block, static_cast<std::size_t>(got));
    }
}

Result<std::string> run(const char* path, const std::string& language, std::string_view bytes) {
    const UniqueFd image(::memfd_create("image", 0));
    if (!image ||
        ::write(image.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()) ||
        ::lseek(image.get(), 0, SEEK_SET) != 0) {
        return fail(Code::resource_exhausted, "no memory for the image");
    }
    int ends[2];
    if (::pipe(ends) != 0) return fail(Code::resource_exhausted, "no pipe for tesseract");
    UniqueFd out(ends[0]), in(ends[1]);
    const pid_t child = ::fork();
    if (child < 0) return fail(Code::resource_exhausted, "cannot start tesseract");
    if (child == 0) {
        ::dup2(image.get(), 0);
        ::dup2(in.get(), 1);
        ::close(2);
        ::execl(path, "tesseract", "stdin", "stdout", "-l", language.c_str(), "tsv",
                static_cast<char*>(nullptr));
        ::_exit(127);
    }
    in.reset();
    std::string text = read_all(out.get());
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return text;
    return fail(Code::invalid_argument,
                "tesseract could not read this image: it is damaged or of a kind it does not know");
}

double number(std::string_view text) {
    double value = -1;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

/// level page block par line word left top width height conf text
void read_words(std::string_view table, TextBuilder& out) {
    constexpr std::size_t kColumns = 12;
    std::string paragraph, place, line;
    const auto end_line = [&] {
        join_line(paragraph, line);
        line.clear();
    };
    std::string_view page;
    while (!table.empty()) {
        std::string_view row = table.substr(0, table.find('\n'));
        table.remove_prefix(std::min(table.size(), row.size() + 1));
        std::array<std::string_view, kColumns> cells;
        std::size_t count = 0;
        for (; count < kColumns; ++count) {
            cells[count] = row.substr(0, row.find('\t'));
            row.remove_prefix(std::min(row.size(), cells[count].size() + 1));
        }
        if (cells[0] != "5" || number(cells[10]) < kConfidenceMin) {
            if (cells[0] == "4") end_line();
            continue;
        }
        const std::string here =
            std::string(cells[1]) + "/" + std::string(cells[2]) + "/" + std::string(cells[3]);
        if (here != place) {
            end_line();
            out.add(BlockKind::paragraph, paragraph);
            paragraph.clear();
            place = here;
        }
        if (cells[1] != page) {
            page = cells[1];
            out.begin_page();
        }
        if (!line.empty()) line += ' ';
        line += cells[11];
    }
    end_line();
    out.add(BlockKind::paragraph, paragraph);
}

}  // namespace

Result<Parsed> parse_image(std::string_view bytes, const ParseRequest& request) {
    const char* path = program();
    if (path == nullptr) {
        return fail(Code::failed_precondition,
                    "text in images is read by tesseract, which is not installed; install the "
                    "package tesseract-ocr (and tesseract-ocr-chi-sim for Chinese)");
    }
    const std::string language = languages();
    if (language.empty()) {
        return fail(Code::failed_precondition,
                    "tesseract has no language; install the package tesseract-ocr-eng or "
                    "tesseract-ocr-chi-sim");
    }
    // One thread: the same result in the same time whatever else runs.
    ::setenv("OMP_THREAD_LIMIT", "1", 1);
    const std::string table = DG_TRY(run(path, language, bytes));
    TextBuilder out(request.text_bytes_max);
    read_words(table, out);
    return out.finish(sniff(bytes, request.name), "this image");
}

}  // namespace memory::knowledge::parse
