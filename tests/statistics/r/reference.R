# Writes reference.json: what R says of data.json. Run in this folder: Rscript reference.R
# Debian: apt-get install --no-install-recommends r-base-core r-cran-rstatix r-cran-car r-cran-jsonlite
suppressMessages({library(jsonlite); library(car); library(rstatix)})
options(contrasts = c("contr.sum", "contr.poly"))
data <- fromJSON("data.json", simplifyVector = TRUE, simplifyMatrix = FALSE)

analyse <- function(rows) {
  rows$condition <- factor(rows$condition, levels = unique(rows$condition))
  rows$size <- factor(rows$size, levels = unique(rows$size))
  two <- nlevels(rows$size) > 1
  formula <- if (two) value ~ condition * size else value ~ condition
  table <- Anova(lm(formula, data = rows), type = 2)
  ges <- as.data.frame(suppressMessages(anova_test(rows, formula, effect.size = "ges")))
  cell <- interaction(rows$condition, rows$size, sep = " | ", drop = TRUE, lex.order = FALSE)
  levene <- leveneTest(rows$value, cell, center = median)
  shapiro <- lapply(split(rows$value, cell), function(x) {
    test <- shapiro.test(x)
    list(w = unname(test$statistic), p = test$p.value)
  })
  tukey <- lapply(split(rows, rows$size), function(part) {
    part <- droplevels(part)
    result <- TukeyHSD(aov(value ~ condition, data = part))$condition
    lapply(seq_len(nrow(result)), function(i) {
      as.list(c(pair = rownames(result)[i], setNames(as.list(result[i, ]),
        c("difference", "low", "high", "p"))))
    })
  })
  rows$order <- seq_len(nrow(rows)) - 1
  found <- as.data.frame(suppressMessages(
    identify_outliers(group_by(rows, condition, size), value)))
  list(
    effects = rownames(table), sum_sq = table[["Sum Sq"]], df = table$Df,
    F = table[["F value"]], p = table[["Pr(>F)"]], ges = ges$ges,
    levene = list(F = levene[1, "F value"], df = levene$Df, p = levene[1, "Pr(>F)"]),
    shapiro = shapiro, tukey = tukey, outliers = I(sort(found$order))
  )
}

vector <- function(x) {
  test <- shapiro.test(x)
  list(quartiles = unname(quantile(x, c(0.25, 0.75))), outliers = I(which(is_outlier(x)) - 1),
    w = unname(test$statistic), p = test$p.value)
}

# Every way to exchange the two of each pair, and every split of two groups, one by one.
flips <- function(d) {
  n <- length(d); count <- 0
  for (code in 0:(2^n - 1)) {
    signs <- 1 - 2 * (bitwAnd(code, 2^(0:(n - 1))) > 0)
    count <- count + (abs(mean(signs * d)) >= abs(mean(d)) - 1e-12)
  }
  count / 2^n
}
splits <- function(x, y) {
  all <- c(x, y)
  apart <- combn(length(all), length(x), function(i) abs(mean(all[i]) - mean(all[-i])))
  mean(apart >= abs(mean(x) - mean(y)) - 1e-12)
}
hedges <- function(x, y) {
  m <- length(x); n <- length(y); df <- m + n - 2
  t <- t.test(x, y, var.equal = TRUE)$statistic
  limit <- function(share) uniroot(function(nc) pt(t, df, nc) - share, c(-35, 35), tol = 1e-12)$root
  root <- sqrt(1 / m + 1 / n)
  j <- gamma(df / 2) / (sqrt(df / 2) * gamma((df - 1) / 2))
  list(g = unname(j * t * root), low = j * root * limit(0.975), high = j * root * limit(0.025))
}
pair <- function(xy) {
  x <- xy[[1]]; y <- xy[[2]]
  list(
    a = unname(suppressWarnings(wilcox.test(x, y))$statistic) / (length(x) * length(y)),
    flips = if (length(x) == length(y)) flips(x - y) else NULL,
    splits = splits(x, y), hedges = hedges(x, y)
  )
}
trim <- function(rows) {
  found <- analyse(rows)$outliers + 1
  if (length(found)) analyse(rows[-found, ]) else NULL
}
methods <- c(holm = "holm", bonferroni = "bonferroni", fdr_bh = "BH")
result <- list(
  versions = list(R = R.version.string, car = as.character(packageVersion("car")),
    rstatix = as.character(packageVersion("rstatix"))),
  designs = lapply(data$designs, analyse), trimmed = lapply(data$designs, trim),
  vectors = lapply(data$vectors, vector),
  pairs = lapply(data$pairs, pair),
  p = lapply(methods, function(method) p.adjust(data$p, method))
)
write(toJSON(result, auto_unbox = TRUE, digits = NA, pretty = TRUE), "reference.json")
