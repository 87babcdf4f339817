# The numbers that tests compare with, by R: writes reference.json from made-up ratings.
#
#   python tests/human_study/synthetic.py /tmp/ratings
#   Rscript tests/human_study/reference.R /tmp/ratings tests/human_study/reference.json
#
# Debian 12: r-base-core r-cran-rstatix r-cran-car r-cran-lme4 r-cran-ordinal r-cran-sandwich
# r-cran-psych r-cran-jsonlite; npmv from CRAN.
suppressMessages({
  library(rstatix); library(lme4); library(ordinal); library(sandwich); library(psych)
  library(MASS)
})
arguments <- commandArgs(trailingOnly = TRUE)
constructs <- c("Plausibility", "Understandability", "Completeness", "Satisfaction", "Contrastiveness")
wanted <- c("CF:PosRationales", "MT:PosRationales", "MT+CF:PosRationales", "MT+CF:RevRationales")

ratings <- function(file) {
  data <- read.csv(file.path(arguments[1], file), stringsAsFactors = FALSE)
  data$model <- factor(data$model, levels = intersect(wanted, unique(data$model)))
  data$Quality <- rowMeans(data[constructs])
  data$id <- seq_len(nrow(data))
  data
}

by_name <- function(names, f) setNames(lapply(names, f), tolower(names))

ranks <- function(data) list(
  means = by_name(c(constructs, "Quality"), function(name) lapply(split(data[[name]], data$model), function(x) {
    x <- x[!is.na(x)]
    list(mean = mean(x), se = sd(x) / sqrt(length(x)), n = length(x))
  })),
  kruskal = by_name(constructs, function(name) {
    test <- kruskal_test(data, reformulate("model", name))
    full <- kruskal.test(data[[name]], data$model)
    stopifnot(test$df == full$parameter)
    list(H = unname(full$statistic), df = unname(full$parameter), p = full$p.value)
  }),
  dunn = by_name(constructs, function(name) {
    test <- as.data.frame(dunn_test(data, reformulate("model", name), p.adjust.method = "bonferroni"))
    lapply(seq_len(nrow(test)), function(i) list(
      a = test$group1[i], b = test$group2[i], z = unname(test$statistic[i]), p = test$p[i], p_adj = test$p.adj[i]
    ))
  }),
  vda = by_name(constructs, function(name) apply(combn(levels(data$model), 2), 2, function(pair) {
    x <- na.omit(data[[name]][data$model == pair[1]]); y <- na.omit(data[[name]][data$model == pair[2]])
    W <- wilcox.test(x, y, exact = FALSE)$statistic
    list(a = pair[1], b = pair[2], A = unname(W) / (length(x) * length(y)))
  }, simplify = FALSE)),
  shapiro = by_name(c(constructs, "Quality"), function(name) lapply(split(data[[name]], data$model), function(x) {
    test <- shapiro.test(x); list(W = unname(test$statistic), p = test$p.value)
  })),
  levene = by_name(c(constructs, "Quality"), function(name) {
    test <- car::leveneTest(data[[name]], data$model)
    list(F = test[1, 2], df1 = test[1, 1], df2 = test[2, 1], p = test[1, 3])
  }),
  alpha = {
    found <- suppressWarnings(psych::alpha(na.omit(data[constructs]), check.keys = FALSE))
    list(alpha = found$total$raw_alpha, low = found$feldt$lower.ci[[1]], high = found$feldt$upper.ci[[1]])
  },
  correlations = apply(combn(constructs, 2), 2, function(pair) {
    r <- cor.test(data[[pair[1]]], data[[pair[2]]])
    rho <- suppressWarnings(cor.test(data[[pair[1]]], data[[pair[2]]], method = "spearman", exact = FALSE))
    list(a = tolower(pair[1]), b = tolower(pair[2]), r = unname(r$estimate), p = r$p.value, rho = unname(rho$estimate))
  }, simplify = FALSE),
  npmv = {
    found <- npmv:::basenonpartest(na.omit(data[c("model", constructs)]), "model", constructs)
    list(
      anova_type = list(F = found$Fanova, df1 = found$fhat, df2 = found$fhat0, p = found$pvalanova),
      wilks = list(F = found$FWL, p = found$pvalWL)
    )
  }
)

linear <- function(fit) {
  told <- summary(fit)$coefficients
  list(terms = rownames(told), coef = told[, 1], se = told[, 2], t = told[, 3], p = told[, 4],
       r2 = summary(fit)$r.squared, n = nobs(fit))
}

regressions <- function(data) {
  whole <- data[!is.na(data$Quality), ]
  out <- as.data.frame(identify_outliers(group_by(whole, model), Quality))$id
  kept <- whole[!(whole$id %in% out), ]
  for (name in c("gender", "age", "country", "education", "employement")) kept[[name]] <- factor(kept[[name]])
  kept$gender <- relevel(kept$gender, ref = "male")
  kept$country <- relevel(kept$country, ref = "United Kingdom")
  list(
    ols = linear(lm(Quality ~ model + rationale_length, kept)),
    ols_demographics = linear(lm(
      Quality ~ model + rationale_length + gender + age + country + education + employement, kept
    ))
  )
}

mixed <- function(formula, data) {
  fit <- lmer(formula, data, REML = TRUE, control = lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-12)))
  spread <- as.data.frame(VarCorr(fit))
  list(coef = unname(fixef(fit)), se = unname(sqrt(diag(as.matrix(vcov(fit))))),
       variances = setNames(as.list(spread$vcov), spread$grp), reml = -unname(as.numeric(logLik(fit))) * 2)
}

models <- function(data) {
  data$item <- paste(data$model, data$rationale_id)
  fit <- lm(Quality ~ model + rationale_length, data)
  clustered <- vcovCL(fit, cluster = data$CASE, type = "HC1")
  data$rating <- factor(data$Completeness, ordered = TRUE)
  # In like units the maximum is found to the last digits.
  data$long <- (data$rationale_length - 30) / 10
  cumulative <- clm(rating ~ model + long, data = data, control = clm.control(gradTol = 1e-10))
  polr_fit <- polr(rating ~ model + long, data, Hess = TRUE, control = list(reltol = 1e-14))
  list(
    cluster_ols = list(coef = unname(coef(fit)), se = unname(sqrt(diag(clustered)))),
    ordinal = list(coef = unname(cumulative$beta), log_likelihood = as.numeric(logLik(cumulative)),
                   se = unname(sqrt(diag(vcovCL(polr_fit, cluster = data$CASE, cadjust = TRUE))))[1:4],
                   thresholds = unname(cumulative$alpha)),
    mixed_participant = mixed(Quality ~ model + rationale_length + (1 | CASE), data),
    mixed_crossed = mixed(Quality ~ model + rationale_length + (1 | CASE) + (1 | item), data)
  )
}

study <- ratings("study.csv")
gaps <- ratings("gaps.csv")
versions <- sapply(c("base", "rstatix", "car", "lme4", "ordinal", "sandwich", "psych", "npmv"),
                   function(name) as.character(packageVersion(name)))
result <- list(versions = as.list(versions), study = c(ranks(study), regressions(study), models(study)), gaps = ranks(gaps))
writeLines(jsonlite::toJSON(result, auto_unbox = TRUE, digits = NA, pretty = TRUE), arguments[2])
